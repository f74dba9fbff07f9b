#include "host/source/embedded/log/log_writer.h"

#include <utility>

#include "host/base/shortage.h"

namespace catchup::embedded {
namespace {

// Writes in one transaction. More would not be quicker, the sync being shared by then, and would
// make the first of them wait for the last.
constexpr std::size_t kMaxGroup = 256;

}  // namespace

LogWriter::LogWriter(EventLog& log, LiveHub& hub) : log_(log), hub_(hub) {
  hub_.Start(log_.tail());
}

Status LogWriter::Start() {
  CATCHUP_ASSIGN_OR_RETURN(thread_, StartThread([this] { Run(); }));
  return {};
}

LogWriter::~LogWriter() {
  {
    const MutexLock lock(&mutex_);
    stopping_ = true;
  }
  changed_.NotifyOne();
  if (thread_.joinable()) {
    thread_.join();
  }
}

void LogWriter::Submit(Request request) {
  {
    const MutexLock lock(&mutex_);
    waiting_.push_back(std::move(request));
  }
  changed_.NotifyOne();
}

void LogWriter::Run() {
  while (true) {
    std::vector<Request> group;
    {
      const MutexLock lock(&mutex_);
      while (!stopping_ && waiting_.empty()) {
        changed_.Wait(&mutex_);
      }
      if (waiting_.empty()) {
        return;
      }
      while (!waiting_.empty() && group.size() < kMaxGroup) {
        group.push_back(std::move(waiting_.front()));
        waiting_.pop_front();
      }
    }
    WriteGroup(std::move(group));
  }
}

void LogWriter::WriteGroup(std::vector<Request> group) {
  std::vector<Result<WriteOutcome>> outcomes;
  const std::uint64_t end_before = log_.tail().end;
  Status status = log_.Begin();
  for (Request& request : group) {
    if (!status.ok()) {
      break;
    }
    outcomes.push_back(Write(std::move(request.work)));
    status = outcomes.back().status();
  }
  if (status.ok()) {
    status = log_.Commit();
  }
  if (!status.ok()) {
    log_.Rollback();
    outcomes.assign(group.size(), status);
  } else if (log_.tail().end != end_before) {
    hub_.Publish(log_.TakeWritten(), log_.tail());
  }
  for (std::size_t i = 0; i < group.size(); ++i) {
    group[i].done(outcomes[i]);
  }
}

Result<WriteOutcome> LogWriter::Write(Work work) {
  if (auto* append = std::get_if<Append>(&work)) {
    return log_.Append(append->stream, append->expected, std::move(append->events));
  }
  if (auto* remove = std::get_if<Delete>(&work)) {
    return log_.Remove(remove->stream, remove->expected,
                       remove->tombstone ? EventLog::Removal::kClose : EventLog::Removal::kHide);
  }
  return WriteOutcome{};
}

}  // namespace catchup::embedded
