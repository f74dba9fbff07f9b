#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <string>

#include "catchup/plugin.h"
#include "tests/engine/driver.h"

namespace catchup {

// One runner, and events of streams and types; what the store is asked for is durable when the test
// says so.
class FailureTest : public testing::Test {
 protected:
  explicit FailureTest(EngineOptions options = {}) : driver(options, &names) { driver.Run(); }

  Commands Event(const std::string& stream, const std::string& type = "t") {
    ++last;
    names.names[last] = {stream, type};
    const auto& [name, kind] = names.names[last];
    return driver.Event(P(last * 10), 1, false, 1, {name, kind});
  }

  Commands Fails(Sequence sequence, std::int32_t status = CATCHUP_FAILED,
                 const std::string& text = "oops") {
    return driver.Failed({sequence, status, "handle", text}, spawn);
  }

  // Fails as often as it takes to be in doubt. Returns the last answer.
  Commands Doubt(Sequence sequence) {
    Commands commands = Fails(sequence);
    for (int i = 0; i < 3 && !Has(commands, Kind::kPark); ++i) {
      EXPECT_EQ(Delivered(driver.Wake(30s)).first, sequence);
      commands = Fails(sequence);
    }
    return commands;
  }

  // The runner dies on it, and another is there.
  Commands Crashes(Sequence sequence) {
    Commands commands = driver.Exited(spawn, ExitClass::kCrash, sequence, "SIGSEGV");
    if (!Has(commands, Kind::kSpawnRunner)) {
      for (const Command& command : driver.Wake(60s)) {
        commands.push_back(command);
      }
    }
    for (const Command& command : driver.Ready(++spawn)) {
      commands.push_back(command);
    }
    return commands;
  }

  static const LetterChange* Parked(const Commands& commands) {
    const Command* command = Find(commands, Kind::kPark);
    return command == nullptr ? nullptr : command->letter.get();
  }

  Names names;
  Driver driver;
  Sequence last = 0;
  SpawnNumber spawn = 1;
};

}  // namespace catchup
