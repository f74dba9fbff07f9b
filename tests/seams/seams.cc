// What catchup-test and its runner have and the shipped programs do not; see
// host/base/test_seams.h.
//
// CATCHUP_TEST_FAIL names a file of one line, "POINT ACTION N": at the N-th time (from 1) that this
// process comes by POINT, it does ACTION, which is "kill", "stop" (until SIGCONT) or "fail". That
// happens once, in whatever process comes there first: the file is then renamed to FILE.fired.
//
// CATCHUP_TEST_SPEED is a whole number of at least 1, by which fixed waits are divided.
#include <signal.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>
#include <string_view>
#include <utility>

#include "host/base/test_seams.h"

namespace catchup::seams {
namespace {

constexpr std::array<std::pair<FailPoint, std::string_view>, 10> kNames{{
    {FailPoint::kBeforeHandle, "before-handle"},
    {FailPoint::kAfterHandle, "after-handle"},
    {FailPoint::kAfterOutcome, "after-outcome"},
    {FailPoint::kRunnerDrain, "runner-drain"},
    {FailPoint::kOutcomeUnread, "outcome-unread"},
    {FailPoint::kBeforeCheckpointWrite, "before-checkpoint-write"},
    {FailPoint::kAfterCheckpointWrite, "after-checkpoint-write"},
    {FailPoint::kBeforeLetterCommit, "before-letter-commit"},
    {FailPoint::kAfterLetterCommit, "after-letter-commit"},
    {FailPoint::kHostDrain, "host-drain"},
}};

// A test that asks for what is not there must not go on as if nothing had been asked for.
[[noreturn]] void Refuse(const std::string& what) {
  std::fprintf(stderr, "catchup-test: %s\n", what.c_str());
  _exit(2);
}

struct Plan {
  std::string file;  // Empty: nothing is planned.
  FailPoint point{};
  std::string action;
  int times = 0;
};

Plan ReadPlan() {
  Plan plan;
  const char* file = std::getenv("CATCHUP_TEST_FAIL");  // NOLINT: nobody writes it.
  std::ifstream in(file != nullptr ? file : "");
  // One that has fired is not there any more.
  std::string point;
  if (!(in >> point >> plan.action >> plan.times)) {
    return {};
  }
  for (const auto& [value, name] : kNames) {
    if (name == point) {
      plan.point = value;
      plan.file = file;
    }
  }
  if (plan.file.empty() ||
      (plan.action != "kill" && plan.action != "stop" && plan.action != "fail")) {
    Refuse("CATCHUP_TEST_FAIL: no point or action: " + point + " " + plan.action);
  }
  return plan;
}

const Plan& ThePlan() {
  static const Plan plan = ReadPlan();
  return plan;
}

}  // namespace

bool Reach(FailPoint point) {
  static std::atomic<int> times = 0;
  const Plan& plan = ThePlan();
  // Of several processes with the same plan only one can rename its file.
  if (plan.file.empty() || plan.point != point || ++times != plan.times ||
      std::rename(plan.file.c_str(), (plan.file + ".fired").c_str()) != 0) {
    return false;
  }
  if (plan.action == "fail") {
    return true;
  }
  (void)kill(getpid(), plan.action == "kill" ? SIGKILL : SIGSTOP);
  return false;
}

int Speed() {
  static const int speed = [] {
    const char* text = std::getenv("CATCHUP_TEST_SPEED");  // NOLINT: nobody writes it.
    const int number = text != nullptr ? std::atoi(text) : 1;
    if (number < 1) {
      Refuse("CATCHUP_TEST_SPEED: found \"" + std::string(text) + "\", wanted a whole number");
    }
    return number;
  }();
  return speed;
}

}  // namespace catchup::seams
