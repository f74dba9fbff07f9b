#include <catchup/helpers.h>
#include <gtest/gtest.h>

#include <string>

extern "C" int helpers_c11_fits(void);
extern "C" std::int32_t helpers_c11_fail(const catchup_host* host);

namespace catchup::test {
namespace {

struct Heard {
  catchup_host host{};
  std::string text;
};

void SetError(const catchup_host* host, catchup_view text) {
  static_cast<Heard*>(host->context)->text.assign(text.data, text.size);
}

TEST(HelpersTest, CompareAndViewTextInC) { EXPECT_EQ(helpers_c11_fits(), 1); }

TEST(HelpersTest, FailWithATextInC) {
  Heard heard;
  heard.host.struct_size = sizeof heard.host;
  heard.host.context = &heard;
  heard.host.set_error = SetError;

  EXPECT_EQ(helpers_c11_fail(&heard.host), CATCHUP_RETRY);

  EXPECT_EQ(heard.text, "the database is away");
}

TEST(HelpersTest, WorkInCppToo) {
  EXPECT_EQ(catchup_equals(catchup_text("sold"), "sold"), 1);
  EXPECT_EQ(catchup_equals(catchup_text("sold"), "bold"), 0);
}

}  // namespace
}  // namespace catchup::test
