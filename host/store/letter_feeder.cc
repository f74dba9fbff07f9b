#include "host/store/letter_feeder.h"

#include <algorithm>
#include <utility>

#include "host/base/log.h"

namespace catchup {

LetterFeeder::LetterFeeder(std::string group, std::string name, std::unique_ptr<LetterSink> sink,
                           Store store)
    : group_(std::move(group)),
      name_(std::move(name)),
      sink_(std::move(sink)),
      store_(std::move(store)) {}

std::optional<std::chrono::nanoseconds> LetterFeeder::Feed() {
  std::size_t delivered = 0;
  const Status fed = Deliver(&delivered);
  standing_.trouble = fed.message();
  if (fed.ok()) {
    if (failures_ > 0) {
      Log(LogLevel::kInfo, "Dead-letter sink works again", "LetterFeeder.Feed", group_,
          {{"sink", name_}, {"failures", failures_}});
      failures_ = 0;
    }
    return delivered == 0 ? std::nullopt : std::optional(std::chrono::nanoseconds(0));
  }
  if (failures_++ == 0) {
    Log(LogLevel::kWarn, "Dead-letter sink fails, tried again until it works", "LetterFeeder.Feed",
        group_, {{"sink", name_}, {"reason", fed.message()}});
  }
  const auto doublings = static_cast<int>(std::min<std::uint64_t>(failures_ - 1, 6));
  return std::min(std::chrono::nanoseconds(kFirstWait) * (1 << doublings),
                  std::chrono::nanoseconds(kLongestWait));
}

Status LetterFeeder::Deliver(std::size_t* delivered) {
  CATCHUP_ASSIGN_OR_RETURN(const LetterSteps::Part part, store_.read());
  standing_.behind = part.last - std::min(part.last, part.place);
  if (part.steps.empty()) {
    sink_->Rest();
    return {};
  }
  CATCHUP_RETURN_IF_ERROR(sink_->Deliver(part.steps));
  TellMissed(part);
  CATCHUP_RETURN_IF_ERROR(store_.confirm(part.steps.back().number));
  *delivered = part.steps.size();
  standing_.behind = part.last - std::min(part.last, part.steps.back().number);
  return {};
}

// Once for each gap: after this the sink's place lies behind it.
void LetterFeeder::TellMissed(const LetterSteps::Part& part) {
  const std::uint64_t missed = part.steps.front().number - part.place - 1;
  if (missed > 0) {
    Log(LogLevel::kWarn, "Dead-letter sink has missed steps: it was away for too long",
        "LetterFeeder.Feed", group_, {{"sink", name_}, {"missedCount", missed}});
  }
}

}  // namespace catchup
