#include "host/daemon/group/group_report.h"

#include <fmt/core.h>

#include <cmath>
#include <tuple>
#include <vector>

#include "host/base/log.h"
#include "host/base/shell_word.h"
#include "host/base/test_seams.h"
#include "host/base/time_text.h"
#include "host/engine/engine_text.h"

namespace catchup {
namespace {

constexpr std::chrono::seconds kProgressInterval{1};

double Seconds(std::chrono::nanoseconds duration) {
  return std::chrono::duration<double>(duration).count();
}

std::int64_t Milliseconds(std::chrono::nanoseconds duration) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(duration).count();
}

// Events a second, to one decimal: more would be noise.
double Rate(std::uint64_t events, std::chrono::nanoseconds in) {
  const double seconds = Seconds(in);
  return seconds > 0 ? std::round(static_cast<double>(events) / seconds * 10) / 10 : 0.0;
}

std::string PositionText(const std::optional<Position>& position) {
  return position.has_value() ? FormatPosition(*position) : "none";
}

LetterCounts CountsOf(const LetterBook& letters) {
  const std::uint64_t healing = letters.count(LetterState::kHealing);
  return {healing + letters.count(LetterState::kDead), healing,
          letters.count(LetterState::kFollower)};
}

bool IsOfLetter(Notice notice) {
  return notice == Notice::kLetterWritten || notice == Notice::kLetterHealed ||
         notice == Notice::kLetterDead || notice == Notice::kLetterDropped;
}

bool IsBad(GroupState state) {
  return state == GroupState::kFailed || state == GroupState::kGivenUp ||
         state == GroupState::kHalted;
}

}  // namespace

std::string_view NoticeMsg(Notice notice) {
  switch (notice) {
    case Notice::kRunnerRestarts:
      return "Runner restarts";
    case Notice::kRunnerReplaced:
      return "Replacing the runner";
    case Notice::kRunnerEndedBadly:
      return "Runner ended badly";
    case Notice::kSpawnWaits:
      return "Runner waits to be started";
    case Notice::kCheckpointWaits:
      return "Checkpoint waits to be written";
    case Notice::kWaitOver:
      return "Wait over";
    case Notice::kPluginBehind:
      return "Plugin is behind the checkpoint";
    case Notice::kPluginMoved:
      return "Plugin's position moved";
    case Notice::kSubscriptionDropped:
      return "Subscription dropped";
    case Notice::kSubscriptionRefused:
      return "Subscription refused";
    case Notice::kLogTooShort:
      return "Log ends too early";
    case Notice::kWitnessesGone:
      return "Log not proven by its newest events";
    case Notice::kReadFromBeginning:
      return "Reading the log from its beginning";
    case Notice::kNoPlaceAnnounced:
      return "Announced position ignored";
    case Notice::kAnnouncedTooEarly:
      return "Event behind an announcement";
    case Notice::kSilenceUnexplained:
      return "Silence not explained";
    case Notice::kCallsWait:
      return "Waiting after a failed call";
    case Notice::kCallsGoOn:
      return "Going on after failed calls";
    case Notice::kBreakerStaysOpen:
      return "Breaker stays open";
    case Notice::kLetterWritten:
      return "Dead letter written";
    case Notice::kLetterHealed:
      return "Dead letter healed";
    case Notice::kLetterDead:
      return "Dead letter waits for a person";
    case Notice::kLetterDropped:
      return "Dead letter dropped";
    case Notice::kTypeHeld:
      return "Event type held";
    case Notice::kTypeFreed:
      break;
  }
  return "Event type not held any more";
}

GroupReport::GroupReport(const GroupConfig& config, const Engine& engine)
    : config_(config), engine_(engine) {}

// Says once what the group waits for.
void GroupReport::WaitFor(Waiter who, const std::string& what) {
  std::string& waits_for = waits_for_[static_cast<std::size_t>(who)];
  if (waits_for == what) {
    return;
  }
  waits_for = what;
  Log(LogLevel::kWarn, "State changed", "Group.WaitFor", config_.name,
      {{"state", GroupStateName(GroupState::kWaiting)}, {"reason", what}, {"expected", true}});
}

void GroupReport::EndWait(Waiter who, bool over) {
  std::string& waits_for = waits_for_[static_cast<std::size_t>(who)];
  if (over && !waits_for.empty()) {
    Log(LogLevel::kInfo, "Wait over", "Group.WaitFor", config_.name, {{"reason", waits_for}});
  }
  waits_for.clear();
}

void GroupReport::EndedBeforeStart(GroupState state, const std::string& reason) {
  ended_before_start_.emplace(state, reason);
  if (state != GroupState::kStopped) {
    Log(LogLevel::kError, "State changed", "Group.Start", config_.name,
        {{"state", GroupStateName(state)}, {"reason", reason}, {"position", "none"}});
  }
}

void GroupReport::HeldBeforeStart(GroupState state, const std::string& reason) {
  held_ = true;
  EndedBeforeStart(state, reason);
}

void GroupReport::Starting(const std::string& plugin_sha256, std::optional<Position> checkpoint,
                           const std::string& source) const {
  Log(LogLevel::kInfo, "Group starting", "Group.Start", config_.name,
      {{"plugin", config_.plugin},
       {"pluginSha256", plugin_sha256},
       {"checkpoint", PositionText(checkpoint)},
       {"source", source}});
}

void GroupReport::Notice(const Command& notice) const {
  std::vector<LogField> fields = {{"reason", notice.text}, {"expected", notice.expected}};
  if (notice.failure.has_value()) {
    fields.emplace_back("class", FailureClassName(*notice.failure));
  }
  const bool alarm = notice.notice == Notice::kBreakerStaysOpen;
  std::string since;
  if (alarm) {
    constexpr std::int64_t kTicksInMillisecond = 10'000;
    const auto open = FixedWait(notice.delay);
    since = FormatTicks(NowTicks() - Milliseconds(open) * kTicksInMillisecond);
    fields.emplace_back("since", since);
    fields.emplace_back("openMs", Milliseconds(open));
  }
  const bool of_letter = IsOfLetter(notice.notice);
  // A letter may come to be, and go, without a call.
  if (notice.number != 0 || of_letter) {
    fields.emplace_back("attempt", notice.number);
    fields.emplace_back("delayMs", Milliseconds(notice.delay));
  }
  std::string position;
  if (notice.from.has_value()) {
    position = FormatPosition(*notice.from);
    fields.emplace_back("position", position);
  }
  if (notice.name != nullptr) {
    fields.emplace_back("stream", notice.name->stream);
    fields.emplace_back("eventType", notice.name->type);
  }
  // Nothing but a person ends it, and its pace is at most one a minute in the long run.
  const bool refused = notice.notice == Notice::kSubscriptionRefused;
  const LogLevel level = notice.expected ? LogLevel::kInfo : LogLevel::kWarn;
  if (of_letter) {
    LogEach(level, NoticeMsg(notice.notice), "Group.Engine", config_.name, fields);
    return;
  }
  Log(alarm || refused ? LogLevel::kError : level, NoticeMsg(notice.notice), "Group.Engine",
      config_.name, fields);
}

void GroupReport::StateChanged() {
  if (engine_.state() == told_state_) {
    return;
  }
  told_state_ = engine_.state();
  const bool waits = told_state_ == GroupState::kWaiting;
  const auto [state, reason] = EngineState();
  Log(IsBad(state) ? LogLevel::kError : (waits ? LogLevel::kWarn : LogLevel::kInfo),
      "State changed", "Group.Engine", config_.name,
      {{"state", GroupStateName(state)},
       {"reason", reason},
       {"position", PositionText(engine_.watermark())}});
}

void GroupReport::Progress(std::optional<Position> head, Clock::time_point now) {
  const std::uint64_t news = engine_.counts().handled - told_handled_;
  if (news < config_.batch_size || now - told_at_ < kProgressInterval) {
    return;
  }
  const double rate = Rate(news, now - told_at_);
  told_handled_ = engine_.counts().handled;
  told_at_ = now;
  if (LogDrawsProgress()) {
    return;
  }
  const std::string position = PositionText(engine_.watermark());
  const std::string log_head = PositionText(head);
  std::vector<LogField> fields;
  AddCounts(now, true, &fields);
  fields.insert(fields.end(), {{"rate", rate}, {"position", position}, {"head", log_head}});
  Log(LogLevel::kInfo, "Progress", "Group.Progress", config_.name, fields);
}

void GroupReport::Finished(std::uint64_t invalid_traces) {
  finished_ = true;
  const auto [state, reason] = StateAndReason();
  const std::string position = PositionText(engine_.durable());
  std::vector<LogField> fields = {
      {"state", GroupStateName(state)}, {"reason", reason}, {"position", position}};
  AddCounts(Clock::now(), !ended_before_start_.has_value(), &fields);
  fields.push_back({"lanes", engine_.lanes()});
  fields.push_back({"invalidTraceCount", invalid_traces});
  Log(IsBad(state) ? LogLevel::kError : LogLevel::kInfo, "Group ended", "Group.Finish",
      config_.name, fields);
}

void GroupReport::AddCounts(Clock::time_point now, bool knows_letters,
                            std::vector<LogField>* fields) const {
  fields->emplace_back("processedCount", engine_.counts().handled);
  fields->emplace_back("errorCount", errors_);
  if (knows_letters) {
    const LetterCounts letters = CountsOf(engine_.letters());
    fields->insert(fields->end(), {{"dlqCount", letters.all},
                                   {"healingCount", letters.healing},
                                   {"followerCount", letters.followers}});
  }
  fields->insert(fields->end(), {{"skippedCount", engine_.counts().skipped},
                                 {"droppedCount", engine_.counts().dropped},
                                 {"timingMs", Milliseconds(now - started_)},
                                 {"avgRate", Rate(engine_.counts().handled, now - started_)}});
}

std::pair<GroupState, std::string> GroupReport::StateAndReason() const {
  if (ended_before_start_.has_value()) {
    return *ended_before_start_;
  }
  for (const std::string& waits_for : waits_for_) {
    if (!waits_for.empty() && !finished_) {
      return {GroupState::kWaiting, waits_for};
    }
  }
  return EngineState();
}

// What else there is than to wait.
std::string GroupReport::HowToPark(const Engine::InDoubt& doubt) const {
  const std::string type = " --type " + ShellWord(doubt.type);
  return "to wait no longer for it: catchup dlq park " + config_.name +
         (doubt.event.has_value() ? " --event " + FormatPosition(*doubt.event) + ", or" + type
                                  : type) +
         ", with --reason TEXT";
}

// For another letter, where there are as many as there may be.
std::string GroupReport::HowToMakeRoom() const {
  return fmt::format(
      "the group has {} of {} letters, {} of {} bytes; to make room: catchup dlq retry {} --all, "
      "catchup dlq drop {} ID --reason TEXT, or larger bounds in dead_letters",
      engine_.letters().letters(), config_.dead_letters.max_letters, engine_.letters().bytes(),
      config_.dead_letters.max_bytes, config_.name, config_.name);
}

// In a log that is not the one that was read, or never. Only a person knows which of them is right.
std::string GroupReport::HowToGoOn(const Engine::ForeignLog& log) const {
  const std::string reset = "catchup reset " + config_.name + " --to ";
  return (log.last_good.has_value()
              ? "the newest event that it has passed and that is known to be in this log lies at " +
                    FormatPosition(*log.last_good) + ", to go on behind it: " + reset +
                    "last-good; to read all of this log: "
              : std::string("no event that it has passed is known to be in this log; to read all "
                            "of it: ")) +
         reset + "beginning; then, or once the log is the one that was read: catchup start " +
         config_.name;
}

std::pair<GroupState, std::string> GroupReport::EngineState() const {
  if (!halt_.empty() && engine_.state() == GroupState::kFailed) {
    return {GroupState::kHalted, halt_};
  }
  if (engine_.foreign_log().has_value() && engine_.state() == GroupState::kFailed) {
    return {GroupState::kHalted, engine_.reason() + "; " + HowToGoOn(*engine_.foreign_log())};
  }
  if (engine_.halted_before().has_value() && engine_.state() == GroupState::kFailed) {
    return {GroupState::kHalted, engine_.reason() + "; once the cause is mended: catchup start " +
                                     config_.name + ", or catchup dlq park " + config_.name +
                                     " --event " + FormatPosition(*engine_.halted_before()) +
                                     " --reason TEXT"};
  }
  if (engine_.waits_for_room()) {
    return {engine_.state(), WithAdvice(engine_.reason(), "; " + HowToMakeRoom())};
  }
  if (const auto doubt = engine_.in_doubt(); doubt.has_value()) {
    return {engine_.state(), WithAdvice(engine_.reason(), "; " + HowToPark(*doubt))};
  }
  return {engine_.state(), engine_.reason()};
}

GroupStatus GroupReport::Glance(std::optional<Position> head,
                                std::optional<Clock::time_point> retry_at) {
  GroupStatus status;
  status.name = config_.name;
  std::tie(status.state, status.reason) = StateAndReason();
  status.processed = engine_.counts().handled;
  status.skipped = engine_.counts().skipped;
  status.letters = CountsOf(engine_.letters());
  status.calls_before_end = engine_.counts().calls_before_end;
  status.breaker_open = !engine_.breaker().closed();
  status.restarts = engine_.counts().restarts;
  status.lanes = engine_.lanes();
  status.lanes_running = engine_.lanes_running();
  status.position = engine_.watermark();
  status.head = head;
  status.finished = finished_;
  status.held = finished_ && (held_ || status.state == GroupState::kHalted);
  if (status.state == GroupState::kWaiting) {
    status.retry_at = retry_at;
  }
  const auto now = Clock::now();
  const double seconds = Seconds(now - rated_at_);
  status.rate =
      seconds > 0 ? static_cast<double>(status.processed - rated_handled_) / seconds : 0.0;
  rated_handled_ = status.processed;
  rated_at_ = now;
  return status;
}

}  // namespace catchup
