#include "host/runner/modules.h"

#include <dlfcn.h>
#include <gtest/gtest.h>

#include "tests/runner/spawned_runner.h"

namespace catchup {
namespace {

TEST(ModulesTest, FindsTheModuleOfAnAddress) {
  void* library = dlopen(FixturePath("fixture").c_str(), RTLD_NOW | RTLD_LOCAL);
  ASSERT_NE(library, nullptr);
  void* entry = dlsym(library, "catchup_plugin_entry");
  Dl_info info;
  ASSERT_NE(dladdr(entry, &info), 0);

  const auto module = FindModule(reinterpret_cast<std::uintptr_t>(entry));

  ASSERT_TRUE(module.has_value());
  EXPECT_EQ(module->path, FixturePath("fixture"));
  EXPECT_EQ(module->file, "fixture.so");
  EXPECT_EQ(module->base, reinterpret_cast<std::uintptr_t>(info.dli_fbase));
  EXPECT_EQ(module->build_id.size(), 20u);
}

TEST(ModulesTest, FindsTheExecutableItself) {
  static const int kHere = 1;
  const auto module = FindModule(reinterpret_cast<std::uintptr_t>(&kHere));
  ASSERT_TRUE(module.has_value());
  EXPECT_EQ(module->file, "catchup-runner");
}

TEST(ModulesTest, FindsNoneForAnAddressOfNone) {
  EXPECT_FALSE(FindModule(0).has_value());
  EXPECT_FALSE(FindModule(UINTPTR_MAX).has_value());
}

}  // namespace
}  // namespace catchup
