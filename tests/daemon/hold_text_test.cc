#include "host/daemon/text/hold_text.h"

#include <gtest/gtest.h>

namespace catchup {
namespace {

TEST(FindSeenTokenTest, ReadsTheTextThatTheAbiAsksFor) {
  EXPECT_EQ(FindSeenToken("fenced: token 57 seen, ours 1"), 57u);
  EXPECT_EQ(FindSeenToken("totals.db: fenced: token 18446744073709551615 seen, ours 1"),
            18446744073709551615u);
}

TEST(FindSeenTokenTest, TakesNothingElseForARefusal) {
  for (const char* text :
       {"", "fenced", "fenced: token ", "fenced: token x seen, ours 1", "fenced: token 0 seen",
        "fenced: token -1 seen", "fenced: token 57", "fenced: token 57 unseen",
        "fenced: token 99999999999999999999 seen, ours 1", "token 57 seen, ours 1"}) {
    EXPECT_EQ(FindSeenToken(text), std::nullopt) << text;
  }
}

TEST(NoSuchGroupTest, NamesTheNearestOrAll) {
  EXPECT_EQ(NoSuchGroup("ordres", {"orders", "stock"}),
            "no such group: \"ordres\", the nearest is orders");
  EXPECT_EQ(NoSuchGroup("x", {"orders", "stock"}),
            "no such group: \"x\", wanted one of orders, stock");
  EXPECT_EQ(NoSuchGroup("x", {"orders"}), "no such group: \"x\", wanted orders");
}

}  // namespace
}  // namespace catchup
