#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/e2e/harness.h"

// A result that could not be written is no success.

namespace catchup::e2e {
namespace {

using testing::HasSubstr;
using testing::Not;

class FullDeviceTest : public testing::Test {
 protected:
  // `catchup ARGUMENTS… > TO`
  Finished Redirected(const std::string& to, std::vector<std::string> arguments) {
    std::vector<std::string> command = {"/bin/sh", "-c", "exec \"$@\" " + to, "sh",
                                        CATCHUP_EXECUTABLE};
    command.insert(command.end(), arguments.begin(), arguments.end());
    Process process(std::move(command), {site_.path(), {}, ""});
    const int exit = process.Wait();
    return {exit, process.Output(), process.Errors()};
  }

  void ExpectRefusal(std::vector<std::string> arguments) {
    SCOPED_TRACE(arguments[0]);
    const Finished done = Redirected(">/dev/full", std::move(arguments));
    EXPECT_EQ(done.exit, 1);
    EXPECT_THAT(done.err, HasSubstr("cannot write the result: No space left on device\n"));
  }

  Site site_;
};

TEST_F(FullDeviceTest, EveryCommandFailsWithTheReason) {
  const std::string scripted = std::string(FIXTURE_DIRECTORY) + "/scripted.so";
  std::string many;
  for (int i = 0; i < 500; ++i) {
    many += EventLine("s", "ok") + "\n";
  }
  WriteFile(site_.file("one.jsonl"), EventLine("s", "ok"));
  WriteFile(site_.file("many.jsonl"), many);
  site_.Configure(JsonlGroup("all"));
  ExpectRefusal({"--version"});
  ExpectRefusal({"--help"});
  ExpectRefusal({"check", "host.toml"});
  ExpectRefusal({"append", "--to", "embedded:log", "one.jsonl"});
  ExpectRefusal({"try", scripted, "one.jsonl"});
  ExpectRefusal({"try", scripted, "many.jsonl"});  // More than is written at once.
}

TEST_F(FullDeviceTest, AFailureKeepsItsOwnCode) {
  site_.Configure("[groups.a]\nplugin = \"absent.so\"\nprefixes = [\"\"]\n");
  const Finished checked = Redirected(">/dev/full", {"check", "host.toml"});
  EXPECT_EQ(checked.exit, 78);
  EXPECT_THAT(checked.err, Not(HasSubstr("cannot write")));
}

}  // namespace
}  // namespace catchup::e2e
