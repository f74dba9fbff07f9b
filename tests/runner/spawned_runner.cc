#include "tests/runner/spawned_runner.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <thread>

namespace catchup {
namespace {

constexpr auto kLongestWait = std::chrono::seconds(30);
constexpr int kLookMilliseconds = 20;

class Deadline {
 public:
  bool passed() const { return std::chrono::steady_clock::now() > at_; }

 private:
  std::chrono::steady_clock::time_point at_ = std::chrono::steady_clock::now() + kLongestWait;
};

}  // namespace

SpawnedRunner::SpawnedRunner(const Options& options)
    : host_(std::move(HostEnd::Create("test")).value()) {
  int ends[2];
  EXPECT_EQ(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
  errors_ = UniqueFd(ends[0]);
  const UniqueFd write_end(ends[1]);
  const std::string path = FixturePath(options.plugin);
  RunnerSetup setup;
  setup.group = "a-group";
  setup.projection = options.projection;
  setup.plugin_path = path;
  setup.config_json = "{}";
  setup.lane = 2;
  setup.open_files = options.open_files;
  setup.token = options.token;
  setup.settings = &options.settings;
  EXPECT_TRUE(host_->WriteSetup(setup).ok());
  host_->Publish();
  child_ = std::make_unique<RingChild>(
      CATCHUP_RUNNER, std::vector<std::string>{"a-group", std::to_string(getpid())},
      host_->descriptors(), ChildOutput{-1, write_end.get()});
}

std::uint64_t SpawnedRunner::Write(std::string_view type, std::string_view data) {
  return WriteTo("a-stream", 0, type, data);
}

std::uint64_t SpawnedRunner::WriteTo(std::string_view stream, std::uint64_t revision,
                                     std::string_view type, std::string_view data) {
  EventView event;
  event.stream = stream;
  event.revision = revision;
  event.type = type;
  event.data = data;
  event.position = {(ticket_ + 1) * 100, (ticket_ + 1) * 100};
  EXPECT_EQ(host_->WriteEvent(event, 1), ++ticket_);
  return ticket_;
}

std::uint64_t SpawnedRunner::WriteAlone(std::string_view type, std::uint32_t attempt) {
  EventView event;
  event.stream = "a-stream";
  event.type = type;
  event.position = {(ticket_ + 1) * 100, (ticket_ + 1) * 100};
  EXPECT_EQ(host_->WriteEvent(event, attempt, CallFor::kOne), ++ticket_);
  return ticket_;
}

std::uint64_t SpawnedRunner::Give(std::string_view type, std::string_view data) {
  const std::uint64_t ticket = Write(type, data);
  host_->Publish();
  return ticket;
}

std::uint64_t SpawnedRunner::Advance(std::uint64_t commit) {
  EXPECT_EQ(host_->WriteAdvance({commit, commit}), ++ticket_);
  host_->Publish();
  return ticket_;
}

// False once the ring is of no more use.
bool SpawnedRunner::TakeOutcomes() {
  while (true) {
    const auto outcome = host_->PollOutcome();
    EXPECT_TRUE(outcome.ok()) << outcome.status().message();
    if (!outcome.ok()) {
      return false;
    }
    if (!outcome.value().has_value()) {
      return true;
    }
    if (outcome.value()->kind == OutcomeKind::kLog) {
      lines_.push_back(outcome.value()->text);
    } else {
      outcomes_.push_back(*outcome.value());
    }
  }
}

Outcome SpawnedRunner::Next() {
  const Deadline deadline;
  while (true) {
    // Looked at before the ring, which the runner filled before it ended.
    const bool over = child_->HasEnded() || deadline.passed();
    if (!TakeOutcomes()) {
      return {};
    }
    if (!outcomes_.empty()) {
      Outcome first = outcomes_.front();
      outcomes_.erase(outcomes_.begin());
      return first;
    }
    if (over) {
      ADD_FAILURE() << "no outcome came; standard error: " << Errors();
      return {};
    }
    pollfd wait{host_->descriptors().host_wake, POLLIN, 0};
    (void)poll(&wait, 1, kLookMilliseconds);
    host_->DrainWake();
  }
}

bool SpawnedRunner::Settled(std::uint64_t ticket) {
  const Deadline deadline;
  while (true) {
    const bool over = child_->HasEnded() || deadline.passed();
    const auto settled = host_->PollSettled();
    EXPECT_TRUE(settled.ok()) << settled.status().message();
    if (!settled.ok() || !TakeOutcomes()) {
      return false;
    }
    if (*settled >= ticket) {
      return true;
    }
    if (over || std::any_of(outcomes_.begin(), outcomes_.end(), [](const Outcome& outcome) {
          return outcome.kind == OutcomeKind::kFailure;
        })) {
      return false;
    }
    if (host_->WakeWhenSettled(ticket)) {
      pollfd wait{host_->descriptors().host_wake, POLLIN, 0};
      (void)poll(&wait, 1, kLookMilliseconds);
      host_->DrainWake();
    }
  }
}

bool SpawnedRunner::Sleeps() {
  const Deadline deadline;
  while (!host_->asleep()) {
    if (deadline.passed() || child_->HasEnded()) {
      return false;
    }
    std::this_thread::yield();
  }
  return true;
}

int SpawnedRunner::Stop() {
  host_->RequestStop();
  return Ended();
}

int SpawnedRunner::Ended() {
  const int status = child_->Wait();
  (void)TakeOutcomes();
  return status;
}

bool SpawnedRunner::HasLine(std::string_view text) const {
  return std::find(lines_.begin(), lines_.end(), text) != lines_.end();
}

std::string SpawnedRunner::Errors() {
  char bytes[4096];
  ssize_t size = 0;
  while ((size = read(errors_.get(), bytes, sizeof bytes)) > 0) {
    error_text_.append(bytes, static_cast<std::size_t>(size));
  }
  return error_text_;
}

CommandOutput RunCommand(const std::string& command) {
  CommandOutput output;
  FILE* pipe = popen(command.c_str(), "re");
  EXPECT_NE(pipe, nullptr);
  char bytes[4096];
  std::size_t size = 0;
  while ((size = fread(bytes, 1, sizeof bytes, pipe)) > 0) {
    output.text.append(bytes, size);
  }
  output.status = pclose(pipe);
  return output;
}

}  // namespace catchup
