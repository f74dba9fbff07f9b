#include "host/daemon/group/start_path.h"

#include <gtest/gtest.h>

#include <vector>

namespace catchup {
namespace {

using Next = StartPath::Next;
using Step = StartPath::Step;
using What = StartPath::Next::What;

const std::vector<Step> kSteps = {Step::kOpenSource, Step::kPrepare, Step::kReadHead,
                                  Step::kOpenLetters};

TEST(StartPathTest, GoesFromTheSourceOverPreparationsAndLettersToTheEngine) {
  const StartPath path;
  EXPECT_EQ(path.Begin().step, Step::kOpenSource);
  EXPECT_EQ(path.After(Step::kOpenSource, {}).step, Step::kPrepare);
  EXPECT_EQ(path.After(Step::kPrepare, {}).step, Step::kOpenLetters);
  EXPECT_EQ(path.After(Step::kOpenLetters, {}).step, Step::kStartEngine);
}

TEST(StartPathTest, AsksForTheHeadWhereAGroupStartsThereAndPreparesOn) {
  const StartPath path;
  StartPath::Found found;
  found.needs_head = true;
  EXPECT_EQ(path.After(Step::kPrepare, {}, found).step, Step::kReadHead);
  EXPECT_EQ(path.After(Step::kReadHead, {}).step, Step::kPrepare);
}

TEST(StartPathTest, TriesTheSameStepAgainAfterWhatMayPass) {
  const StartPath path;
  for (const Step step : kSteps) {
    const Next next = path.After(step, Status::Exhausted("no space left"));
    EXPECT_EQ(next.what, What::kLater);
    EXPECT_EQ(next.step, step);
    EXPECT_TRUE(next.reason.ends_with("no space left")) << next.reason;
  }
}

TEST(StartPathTest, EndsByWhatDoesNotPassButForWhatTheServerSays) {
  const StartPath path;
  const Status bad = Status::Invalid("no such plugin");
  for (const Step step : {Step::kPrepare, Step::kOpenLetters}) {
    const Next next = path.After(step, bad);
    EXPECT_EQ(next.what, What::kEnd);
    EXPECT_EQ(next.state, GroupState::kFailed);
    EXPECT_EQ(next.reason, "no such plugin");
  }
  for (const Step step : {Step::kOpenSource, Step::kReadHead}) {
    EXPECT_EQ(path.After(step, bad).what, What::kLater) << "a server may be mended";
  }
}

TEST(StartPathTest, DoesNotPressAServerThatHasRefusedAndNamesCredentials) {
  const StartPath path;
  StartPath::Found found;
  found.refused = true;
  found.of_access = true;
  const Next next = path.After(Step::kReadHead, Status::Unavailable("who are you"), found);
  EXPECT_EQ(next.what, What::kLater);
  EXPECT_TRUE(next.refused);
  EXPECT_TRUE(next.reason.starts_with("credentials: head of the log not read")) << next.reason;
  EXPECT_FALSE(path.After(Step::kReadHead, Status::Unavailable("no answer")).refused);
}

TEST(StartPathTest, IsHeldByAnEarlierWordAndSaysWhichOne) {
  const StartPath path;
  StartPath::Found found;
  found.hold = Hold{GroupState::kHalted, "fenced"};
  const Next next = path.After(Step::kPrepare, {}, found);
  EXPECT_EQ(next.what, What::kHold);
  EXPECT_EQ(next.state, GroupState::kHalted);
  EXPECT_EQ(next.reason, "fenced");
}

TEST(StartPathTest, AStopEndsItAtAnyStepWhateverThatSays) {
  StartPath path;
  path.Stop();
  StartPath::Found found;
  found.hold = Hold{};
  found.needs_head = true;
  EXPECT_EQ(path.Begin().what, What::kEnd);
  for (const Step step : kSteps) {
    for (const Status& status :
         {Status(), Status::Exhausted("no space left"), Status::Invalid("no such plugin")}) {
      const Next next = path.After(step, status, found);
      EXPECT_EQ(next.what, What::kEnd);
      EXPECT_EQ(next.state, GroupState::kStopped);
    }
  }
}

}  // namespace
}  // namespace catchup
