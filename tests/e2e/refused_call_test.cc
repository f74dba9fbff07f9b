#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <ostream>
#include <string>
#include <vector>

#include "tests/e2e/launched.h"

// Older kernels lack system calls, and filters of containers and service managers refuse those that
// they do not know. Each has another way, or a refusal that names the call.

namespace catchup::e2e {
namespace {

using testing::HasSubstr;

struct Refused {
  const char* call;
  bool another_way;  // Everything works without it.
};

void PrintTo(const Refused& refused, std::ostream* out) { *out << refused.call; }

constexpr Refused kRefused[] = {
    {"openat2", true},         {"pidfd_open", true},     {"pidfd_send_signal", true},
    {"close_range", true},     {"getrandom", true},      {"statx", true},
    {"copy_file_range", true}, {"renameat2", true},      {"faccessat2", true},
    {"timerfd_create", true},  {"utimensat", true},      {"memfd_create", false},
    {"madvise", false},        {"epoll_create1", false}, {"eventfd2", false},
    {"signalfd4", false},      {"pipe2", false},         {"prctl", false},
    {"setsid", false},         {"prlimit64", false},     {"clone3", false},
};

class RefusedCallTest : public testing::TestWithParam<Refused> {
 protected:
  void SetUp() override {
    site_.Configure(JsonlGroup("copy"));
    site_.Append({EventLine("s", "one"), EventLine("s", "two")});
    WriteFile(site_.file("events.jsonl"), EventLine("s", "one") + "\n");
  }

  void Expect(const std::string& error, const std::vector<std::string>& arguments) {
    SCOPED_TRACE(error + " in " + arguments.front());
    const Finished ran = Launched(site_, {"--deny", GetParam().call, error}, arguments);
    if (GetParam().another_way) {
      EXPECT_EQ(ran.exit, 0) << ran.err;
      return;
    }
    EXPECT_TRUE(ran.exit == 0 || ran.exit == 1 || ran.exit == 78) << ran.exit << ": " << ran.err;
    if (ran.exit != 0) {
      EXPECT_THAT(ran.err, HasSubstr(Name()));
    }
  }

  // As the text names it: by the library's function.
  std::string Name() const {
    const std::string call = GetParam().call;
    return call == "eventfd2"    ? "eventfd"
           : call == "signalfd4" ? "signalfd"
           : call == "prlimit64" ? "rlimit"
           : call == "clone3"    ? "clone"
                                 : call;
  }

  Site site_;
};

TEST_P(RefusedCallTest, HasAnotherWayOrIsNamed) {
  for (const char* error : {"ENOSYS", "EPERM"}) {
    Expect(error, {"run", "host.toml", "--until-caught-up"});
    std::filesystem::remove_all(site_.path() / "state");
    Expect(error, {"check", "host.toml"});
    Expect(error, {"check", "--create", "host.toml"});
    Expect(error,
           {"try", PLUGIN_DIRECTORY "/jsonl.so", "events.jsonl", "--set", "file=\"out.jsonl\""});
    Expect(error, {"append", "--to", "embedded:log", "events.jsonl"});
  }
}

INSTANTIATE_TEST_SUITE_P(Calls, RefusedCallTest, testing::ValuesIn(kRefused),
                         [](const auto& named) { return std::string(named.param.call); });

// A host without pidfd_open still sees the end of its runners, and starts others.
TEST(RefusedCallsTest, WithoutPidfdsADeathIsSeenAsEver) {
  Site site;
  site.Configure(ScriptedGroup("copy"));
  site.Append({EventLine("s", "ok"), EventLine("s", "die-once"), EventLine("s", "ok")});
  const Finished ran =
      Launched(site, {"--deny", "pidfd_open", "ENOSYS"}, {"run", "host.toml", "--until-caught-up"});
  EXPECT_EQ(ran.exit, 0) << ran.err;
  EXPECT_EQ(Called(site, "copy"),
            (std::vector<std::string>{"s@0 ok", "s@1 die-once", "s@1 die-once", "s@2 ok"}));
}

// What watches a child instead may be late, when nobody wants to know any more: many times, since
// that is a race.
TEST(RefusedCallsTest, WithoutPidfdsACommandEndsAsEver) {
  Site site;
  site.Configure(JsonlGroup("copy"));
  for (int i = 0; i < 30; ++i) {
    const Finished checked =
        Launched(site, {"--deny", "pidfd_open", "ENOSYS"}, {"check", "--create", "host.toml"});
    ASSERT_EQ(checked.exit, 0) << checked.err;
    ASSERT_EQ(checked.out, "host.toml: ok, 1 group\n");
  }
}

// What replaces openat2 follows no link either.
TEST(RefusedCallsTest, WithoutOpenat2ALinkIsStillRefused) {
  Site site;
  site.Configure(JsonlGroup("copy"));
  std::string config = ReadFile(site.file("host.toml"));
  std::filesystem::create_directory(site.file("plugins"));
  std::filesystem::create_symlink(PLUGIN_DIRECTORY "/jsonl.so", site.file("plugins/jsonl.so"));
  const std::string key = "directories = [";
  config.insert(config.find(key) + key.size(), "\"plugins\", ");
  WriteFile(site.file("host.toml"), config);
  const Finished checked = Launched(site, {"--deny", "openat2", "EPERM"}, {"check", "host.toml"});
  EXPECT_EQ(checked.exit, 78) << checked.out;
  EXPECT_THAT(checked.err, HasSubstr("is a symbolic link"));
}

}  // namespace
}  // namespace catchup::e2e
