#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "host/base/log.h"
#include "host/config/config.h"
#include "host/daemon/runner/runner_link.h"
#include "host/daemon/text/event_fields.h"
#include "host/engine/failure.h"

namespace catchup {

// The log lines about the runner of a group's lane: what it prints and says, how its calls fail,
// hang and crash. `event` is the one concerned, as far as it is at hand. Serialised by the group.
class RunnerReport {
 public:
  // `config` must outlive this.
  explicit RunnerReport(const GroupConfig& config, LaneNumber lane = 0)
      : config_(config), lane_(lane) {}

  void Started(const RunnerLink& link, std::uint64_t token) const;
  void Ready(const Outcome& ready) const;
  void Output(const RunnerLink::Output& output) const;
  void Says(const Outcome& line) const;
  // Something does not hold it to its limits, as it should.
  void NotLimited(const std::string& why) const;
  // It has begun with nearly all of the memory that it may have.
  void StartsFull(const std::string& why) const;
  // `status` in the line is the plugin's word, `class` what the host makes of it.
  void CallFailed(const Outcome& failure, FailureClass failure_class,
                  const EventFields& event) const;
  void CallHung(const RunnerLink::Overdue& overdue, const EventFields& event) const;
  void Crashed(std::string_view msg, const CrashRecord& crash, ExitClass exit_class,
               const EventFields& event) const;
  // `asked`: as the host wanted it to.
  void Ended(pid_t pid, const RunnerLink::Ending& ending, bool asked,
             const EventFields& event) const;
  // Tells of lines that found no room on their way from the plugin to the host.
  void LinesLost(const LinesByLevel& lines) const;
  void DataDirectoryMade(const std::string& path) const;

 private:
  // Says the lane as well, where there are several.
  void Write(LogLevel level, std::string_view msg, std::string_view method,
             std::vector<LogField> fields) const;
  void WriteText(LogLevel level, std::string_view msg, std::string_view method,
                 std::string_view text) const;

  const GroupConfig& config_;
  const LaneNumber lane_;
};

}  // namespace catchup
