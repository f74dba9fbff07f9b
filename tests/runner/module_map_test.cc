#include "host/runner/module_map.h"

#include <dlfcn.h>
#include <gtest/gtest.h>

#include <sstream>
#include <string>

#include "tests/runner/spawned_runner.h"

namespace catchup {
namespace {

// Too large for a stack.
ModuleMap g_map;

TEST(ModuleMapTest, FindsTheModuleOfAnAddress) {
  void* library = dlopen(FixturePath("fixture").c_str(), RTLD_NOW | RTLD_LOCAL);
  ASSERT_NE(library, nullptr);
  void* entry = dlsym(library, "catchup_plugin_entry");
  Dl_info info;
  ASSERT_NE(dladdr(entry, &info), 0);
  g_map.Read();

  const auto place = g_map.Find(reinterpret_cast<std::uintptr_t>(entry));

  ASSERT_TRUE(place.has_value());
  EXPECT_EQ(place->file, "fixture.so");
  EXPECT_EQ(place->offset, reinterpret_cast<std::uintptr_t>(entry) -
                               reinterpret_cast<std::uintptr_t>(info.dli_fbase));
}

TEST(ModuleMapTest, FindsNoneForAnAddressOfNone) {
  g_map.Read();
  EXPECT_FALSE(g_map.Find(0).has_value());
  EXPECT_FALSE(g_map.Find(UINTPTR_MAX).has_value());
}

TEST(ModuleMapTest, WritesLinesThatAreNotLong) {
  // Twice: the second replaces the first.
  g_map.Read();
  const std::string before(g_map.lines());
  g_map.Read();
  EXPECT_EQ(g_map.lines(), before);
  EXPECT_NE(before.find(" catchup-runner, "), std::string::npos) << before;
  EXPECT_NE(before.find("/libc.so.6"), std::string::npos) << before;
  std::istringstream lines(before);
  for (std::string line; std::getline(lines, line);) {
    EXPECT_TRUE(line.starts_with("catchup-runner: modules 0x")) << line;
    EXPECT_LE(line.size(), 1000u);
  }
}

}  // namespace
}  // namespace catchup
