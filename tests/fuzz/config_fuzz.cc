// Any text as a configuration: either it is one, or every problem of it has a place in the file and
// stands on one line. And any text as a setting of a plugin's on the command line.
#include <string>

#include "host/base/check.h"
#include "host/config/reader.h"
#include "tests/fuzz/input.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  using namespace catchup;
  const std::string_view text = fuzz::AsText(bytes, size);
  const ConfigReading reading = ReadConfigText(text, "/etc/catchup/host.toml");
  CATCHUP_CHECK(reading.config.has_value() == reading.problems.empty());
  CATCHUP_CHECK(reading.places.size() == reading.problems.size());
  for (const std::string& problem : reading.problems) {
    CATCHUP_CHECK(problem.starts_with("/etc/catchup/host.toml") && fuzz::IsOneLine(problem));
  }
  if (reading.config.has_value()) {
    CATCHUP_CHECK(!reading.config->groups.empty() &&
                  reading.config->groups.size() == reading.groups.size());
  }
  (void)SettingsFromArguments({std::string(text)});
  return 0;
}
