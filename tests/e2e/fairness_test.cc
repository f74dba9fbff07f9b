#include <gtest/gtest.h>
#include <sched.h>
#include <signal.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "tests/e2e/harness.h"

// One group has more events than it can handle, another gets one now and then.

namespace catchup::e2e {
namespace {

constexpr std::size_t kFlood = 30'000;
constexpr int kSingles = 10;
// What may be handled of the flood before a single event, which takes 10 s at least: half of what
// the host hands out to a group at once.
constexpr std::size_t kMostMeanwhile = 2'000;

std::vector<std::string> Flood() {
  std::vector<std::string> lines;
  for (std::size_t i = 0; i < kFlood; ++i) {
    lines.push_back(
        EventLine("flood-" + std::to_string(i / 500), "flood", R"({"do":"slow","ms":5})"));
  }
  return lines;
}

// While it lives, what this thread starts has one core, so that a host's groups share all of its
// threads.
class OneCore {
 public:
  OneCore() {
    EXPECT_EQ(sched_getaffinity(0, sizeof all_, &all_), 0);
    cpu_set_t one;
    CPU_ZERO(&one);
    for (int core = 0; core < CPU_SETSIZE && CPU_COUNT(&one) == 0; ++core) {
      if (CPU_ISSET(core, &all_)) {
        CPU_SET(core, &one);
      }
    }
    EXPECT_EQ(sched_setaffinity(0, sizeof one, &one), 0);
  }
  ~OneCore() { EXPECT_EQ(sched_setaffinity(0, sizeof all_, &all_), 0); }
  OneCore(const OneCore&) = delete;
  OneCore& operator=(const OneCore&) = delete;

 private:
  cpu_set_t all_;
};

class FairnessTest : public testing::TestWithParam<std::string_view> {};

// The flood takes 150 s at least.
TEST_P(FairnessTest, AGroupWithAFewEventsHandlesEachWhileAnotherIsFlooded) {
  Site site;
  site.Append(Flood());
  site.Configure(TroubleGroup("flooded", "prefixes = [\"flood\"]\nprojection = \"" +
                                             std::string(GetParam()) + "\"") +
                 JsonlGroup("quiet", "prefixes = [\"single\"]"));
  std::unique_ptr<Process> host;
  {
    const OneCore core;
    host = site.Start({"run", "host.toml"});
  }
  ASSERT_TRUE(WaitUntil([&] { return Delivered(site, "flooded").size() >= 10; })) << host->Errors();
  std::vector<std::string> singles;
  for (int i = 0; i < kSingles; ++i) {
    const std::size_t flooded = Delivered(site, "flooded").size();
    site.Append({EventLine("quiet", "single")});
    singles.push_back("quiet@" + std::to_string(i) + " single");

    ASSERT_TRUE(WaitUntil([&] { return Written(site, "quiet") == singles; }))
        << "event " << i << " was not handled\n"
        << host->Errors();

    const std::size_t meanwhile = Delivered(site, "flooded").size() - flooded;
    EXPECT_LE(meanwhile, kMostMeanwhile) << "event " << i << " had to wait for the flood";
    EXPECT_TRUE(WaitUntil([&] { return Delivered(site, "flooded").size() > flooded; }))
        << "the flooded group stands still\n"
        << host->Errors();
  }
  EXPECT_LT(Delivered(site, "flooded").size(), kFlood) << "the flood was over before the end";
  host->Signal(SIGTERM);
  EXPECT_EQ(host->Wait(), 0) << host->Errors();
}

INSTANTIATE_TEST_SUITE_P(Projections, FairnessTest, testing::Values("trouble", "trouble-batch"),
                         [](const auto& projection) {
                           return std::string(projection.param == "trouble" ? "EventByEvent"
                                                                            : "Batches");
                         });

}  // namespace
}  // namespace catchup::e2e
