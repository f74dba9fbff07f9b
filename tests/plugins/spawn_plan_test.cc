#include "host/plugins/spawn_plan.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <algorithm>

namespace catchup {
namespace {

// How often `name` stands in it: twice would leave it to the program which one counts.
auto Count(const std::vector<std::string>& environment, const std::string& name) {
  return std::count_if(environment.begin(), environment.end(), [&](const std::string& variable) {
    return variable.starts_with(name + "=");
  });
}

bool Holds(const std::vector<std::string>& environment, const std::string& variable) {
  return std::find(environment.begin(), environment.end(), variable) != environment.end();
}

class ConstructEnvironmentTest : public testing::Test {
 protected:
  void Set(const char* name, const char* value) { ASSERT_EQ(setenv(name, value, 1), 0); }
};

TEST_F(ConstructEnvironmentTest, PassesOnlyWhatIsNamedAndSet) {
  Set("CATCHUP_TEST_NAMED", "1");
  Set("CATCHUP_TEST_OTHER", "2");
  ASSERT_EQ(unsetenv("CATCHUP_TEST_UNSET"), 0);

  const auto environment = ConstructEnvironment({"CATCHUP_TEST_NAMED", "CATCHUP_TEST_UNSET"});

  EXPECT_TRUE(Holds(environment, "CATCHUP_TEST_NAMED=1"));
  EXPECT_EQ(Count(environment, "CATCHUP_TEST_OTHER"), 0);
  EXPECT_EQ(Count(environment, "CATCHUP_TEST_UNSET"), 0);
  EXPECT_EQ(Count(environment, "PATH"), 1);
}

TEST_F(ConstructEnvironmentTest, NeverPassesWhatIsForbiddenHoweverItIsWritten) {
  for (const char* name : {"Https_Proxy", "_PROXY", "ld_audit", "CATCHUP_CREDENTIALS"}) {
    Set(name, "x");

    EXPECT_EQ(Count(ConstructEnvironment({name}), name), 0) << name;

    ASSERT_EQ(unsetenv(name), 0);
  }
}

TEST_F(ConstructEnvironmentTest, GivesTheHostsValueWhereAGroupNamesWhatARunnerHasAnyway) {
  Set("LANG", "de_DE.UTF-8");
  Set("TZ", "UTC");

  const auto environment = ConstructEnvironment({"LANG", "TZ", "LANG"});

  EXPECT_TRUE(Holds(environment, "LANG=de_DE.UTF-8"));
  EXPECT_EQ(Count(environment, "LANG"), 1);
  EXPECT_EQ(Count(environment, "TZ"), 1);
}

}  // namespace
}  // namespace catchup
