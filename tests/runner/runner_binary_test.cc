#include <gmock/gmock.h>
#include <sys/wait.h>

#include <sstream>

#include "tests/runner/spawned_runner.h"

namespace catchup {
namespace {

using testing::HasSubstr;

// What the runner links, a plugin cannot bring in another version; what it exports, a plugin's
// functions of the same name are bound to.
class RunnerBinaryTest : public testing::Test {
 protected:
  void SetUp() override {
    if (CATCHUP_SANITIZED) {
      GTEST_SKIP() << "a sanitizer brings its own library and symbols";
    }
  }
};

TEST_F(RunnerBinaryTest, NeedsNoLibraryBeyondTheLanguageRuntimes) {
  const CommandOutput output = RunCommand(std::string("readelf -dW ") + CATCHUP_RUNNER);
  ASSERT_EQ(output.status, 0);
  std::istringstream lines(output.text);
  std::string line;
  int needed = 0;
  while (std::getline(lines, line)) {
    if (line.find("(NEEDED)") == std::string::npos) {
      continue;
    }
    ++needed;
    bool known = false;
    for (const char* name : {"[libc.so.6]", "[libm.so.6]", "[libgcc_s.so.1]", "[libstdc++.so.6]",
                             "[ld-linux-x86-64.so.2]", "[ld-linux-aarch64.so.1]"}) {
      known |= line.find(name) != std::string::npos;
    }
    EXPECT_TRUE(known) << line;
  }
  EXPECT_GT(needed, 0);
}

TEST_F(RunnerBinaryTest, ExportsNothing) {
  const CommandOutput output = RunCommand(std::string("nm -D --defined-only ") + CATCHUP_RUNNER);
  EXPECT_EQ(output.status, 0);
  EXPECT_EQ(output.text, "");
}

TEST_F(RunnerBinaryTest, SaysThatItIsNotForCallingByHand) {
  const CommandOutput output = RunCommand(std::string(CATCHUP_RUNNER) + " 2>&1");
  EXPECT_EQ(WEXITSTATUS(output.status), 2);
  EXPECT_THAT(output.text, HasSubstr("nothing to call by hand"));
}

}  // namespace
}  // namespace catchup
