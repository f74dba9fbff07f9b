#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "host/base/log_line.h"
#include "host/config/config.h"
#include "host/daemon/group/group_status.h"
#include "host/engine/engine.h"

namespace catchup {

// The fixed message of a notice in the log; no two have the same.
std::string_view NoticeMsg(Notice notice);

// What is told of a group as a whole: its states, waits, notices, progress and end in the log, and
// the glance. The engine is asked, never told. Serialised by the group.
class GroupReport {
 public:
  using Clock = std::chrono::steady_clock;

  // `config` and `engine` must outlive this. Counts the time from here.
  GroupReport(const GroupConfig& config, const Engine& engine);

  // Who waits for something that the engine does not know of.
  enum class Waiter : std::uint8_t { kStore, kSpawn, kLetters };
  void WaitFor(Waiter who, const std::string& what);
  // `over`: what it waited for is there; else nobody waits for it any more.
  void EndWait(Waiter who, bool over);

  // The group ends before its engine has begun.
  void EndedBeforeStart(GroupState state, const std::string& reason);

  // The same for a group that is not to begin before a command says so.
  void HeldBeforeStart(GroupState state, const std::string& reason);

  // Whatever end the engine will come to, if it is a failure: an operator is to decide, and why.
  void Halt(std::string why) { halt_ = std::move(why); }

  void Starting(const std::string& plugin_sha256, std::optional<Position> checkpoint,
                const std::string& source) const;
  void Notice(const Command& notice) const;
  void StateChanged();
  // Call often: decides by itself when a line is due.
  void Progress(std::optional<Position> head, Clock::time_point now);
  // `invalid_traces`: see LetterSide.
  void Finished(std::uint64_t invalid_traces = 0);
  void CountError() { ++errors_; }

  // What the engine says, or what holds up the group that the engine does not know of.
  std::pair<GroupState, std::string> StateAndReason() const;

  // A rate counts from the glance before.
  GroupStatus Glance(std::optional<Position> head, std::optional<Clock::time_point> retry_at);

  bool finished() const { return finished_; }
  Clock::time_point started() const { return started_; }

 private:
  std::string HowToPark(const Engine::InDoubt& doubt) const;
  std::string HowToMakeRoom() const;
  std::string HowToGoOn(const Engine::ForeignLog& log) const;
  std::pair<GroupState, std::string> EngineState() const;
  // What progress and the end of a group say alike, as of `now`. Of letters where they are known,
  // as they are once they were read.
  void AddCounts(Clock::time_point now, bool knows_letters, std::vector<LogField>* fields) const;

  const GroupConfig& config_;
  const Engine& engine_;
  const Clock::time_point started_ = Clock::now();
  bool finished_ = false;
  std::optional<std::pair<GroupState, std::string>> ended_before_start_;
  std::string halt_;
  bool held_ = false;
  std::array<std::string, 3> waits_for_;  // By Waiter; empty while it does not wait.
  std::uint64_t errors_ = 0;
  GroupState told_state_ = GroupState::kIdle;
  std::uint64_t told_handled_ = 0;
  Clock::time_point told_at_ = started_;
  std::uint64_t rated_handled_ = 0;
  Clock::time_point rated_at_ = started_;
};

}  // namespace catchup
