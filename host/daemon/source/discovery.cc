#include "host/daemon/source/discovery.h"

#include <fmt/core.h>

#include <algorithm>
#include <utility>

#include "host/base/log.h"
#include "host/base/test_seams.h"
#include "host/base/text.h"
#include "host/daemon/source/node_choice.h"

namespace catchup {
namespace {

// Between two rounds of a cluster that is gone for longer: nobody is in a hurry any more, and each
// round is a call to every node.
constexpr std::chrono::seconds kSlowPause{5};

// A node that is silent may be well again some day; trying it costs a group half a minute.
constexpr std::chrono::minutes kSilentFor{5};

// As much of the seeds, and of what came of each question, as a state bears.
constexpr std::size_t kMostSeeds = 200;
constexpr std::size_t kMostTried = 600;

std::string Join(const std::vector<std::string>& words) {
  std::string all;
  for (const std::string& word : words) {
    all += (all.empty() ? "" : ", ") + word;
  }
  return all;
}

// What a node says that names none to connect to.
std::string NamesNone(const std::string& asked, const std::vector<ClusterMember>& members) {
  std::vector<std::string> words;
  for (const ClusterMember& member : members) {
    words.push_back(member.address + " " + (member.alive ? member.state_name : "dead"));
  }
  return fmt::format("{}: names no node that is alive and serves ({})", asked,
                     words.empty() ? "none at all" : Join(words));
}

}  // namespace

Discovery::Discovery(Services services, Reactor* reactor)
    : services_(std::move(services)), reactor_(*reactor) {}

std::chrono::nanoseconds Discovery::PauseAfter(std::uint32_t failed_rounds, std::uint32_t attempts,
                                               std::chrono::milliseconds interval) {
  return failed_rounds < attempts
             ? interval
             : std::max<std::chrono::nanoseconds>(interval, FixedWait(kSlowPause));
}

std::optional<std::string> Discovery::known() {
  const MutexLock lock(&mutex_);
  return known_;
}

Discovery::Number Discovery::Find(Callback callback) {
  const Number number = [this] {
    const MutexLock lock(&mutex_);
    return ++last_number_;
  }();
  reactor_.Post([this, number, callback = std::move(callback)] {
    on_reactor_.AssertHeld();
    waiting_.emplace(number, callback);
    Serve();
  });
  return number;
}

void Discovery::Forget(Number number) {
  reactor_.Post([this, number] {
    on_reactor_.AssertHeld();
    const auto found = waiting_.find(number);
    if (found != waiting_.end()) {
      const Callback callback = std::move(found->second);
      waiting_.erase(found);
      callback(EndOfCall{.text = "the search for a node was cut short"});
    }
  });
}

void Discovery::Lost(const std::string& address) {
  const MutexLock lock(&mutex_);
  if (known_ == address) {
    known_.reset();
    lost_ = address;
  }
}

void Discovery::Silent(const std::string& address) {
  Lost(address);
  const MutexLock lock(&mutex_);
  silent_ = address;
  silent_until_ = Clock::now() + FixedWait(kSilentFor);
}

std::string Discovery::ToAvoid() {
  const MutexLock lock(&mutex_);
  return Clock::now() < silent_until_ ? silent_ : std::string();
}

void Discovery::Serve() {
  if (const auto node = known()) {
    AnswerAll(*node);
    return;
  }
  if (waiting_.empty() || round_ || timer_.has_value()) {
    return;
  }
  const auto now = Clock::now();
  const auto next =
      last_round_ + PauseAfter(failed_rounds_, services_.attempts, services_.interval);
  if (now >= next) {
    BeginRound();
    return;
  }
  timer_ = reactor_.After(next - now, [this] {
    on_reactor_.AssertHeld();
    timer_.reset();
    Serve();
  });
}

void Discovery::BeginRound() {
  last_round_ = Clock::now();
  round_ = true;
  tried_.clear();
  const std::string last = [this] {
    const MutexLock lock(&mutex_);
    return lost_;
  }();
  to_ask_ = OrderOfAsking(members_, services_.seeds, last, services_.random());
  std::reverse(to_ask_.begin(), to_ask_.end());
  AskNext();
}

void Discovery::AskNext() {
  if (to_ask_.empty()) {
    FoundNone(EndClass::kDropped);
    return;
  }
  const std::string address = std::move(to_ask_.back());
  to_ask_.pop_back();
  question_ = services_.ask(address, [this, address](const Members& members) {
    reactor_.Post([this, address, members] {
      on_reactor_.AssertHeld();
      OnMembers(address, members);
    });
  });
}

void Discovery::OnMembers(const std::string& asked, const Members& members) {
  question_.reset();
  if (members.ok()) {
    if (const ClusterMember* const node =
            ChooseNode(*members, services_.preference, ToAvoid(), services_.random())) {
      members_ = *members;
      Found(*node, asked);
      return;
    }
  }
  tried_ += (tried_.empty() ? "" : "; ") +
            (members.ok() ? NamesNone(asked, *members) : members.end().text);
  if (!members.ok() && IsRefusalOfAccess(members.end().kind)) {
    // The others would say the same, and failed logins fill their logs.
    FoundNone(members.end().kind);
  } else {
    AskNext();
  }
}

void Discovery::Found(const ClusterMember& node, const std::string& asked) {
  round_ = false;
  failed_rounds_ = 0;
  {
    const MutexLock lock(&mutex_);
    known_ = node.address;
  }
  if (told_ != node.address) {
    told_ = node.address;
    Log(LogLevel::kInfo, "Node found", "Host.Discover", "",
        {{"source", node.address}, {"state", node.state_name}, {"from", asked}});
  }
  AnswerAll(node.address);
}

void Discovery::FoundNone(EndClass why) {
  round_ = false;
  ++failed_rounds_;
  EndOfCall end;
  end.kind = why;
  end.answered = why != EndClass::kDropped;
  end.text =
      fmt::format("no node of {} found{}; tried {}", CutText(Join(services_.seeds), kMostSeeds),
                  failed_rounds_ == 1 ? "" : fmt::format(" in {} rounds", failed_rounds_),
                  CutText(tried_, kMostTried));
  if (failed_rounds_ == services_.attempts) {
    told_.clear();
    Log(LogLevel::kWarn, "No node found", "Host.Discover", "",
        {{"reason", end.text}, {"expected", true}});
  }
  AnswerAll(end);
}

// Whoever asks again from inside waits for the next round.
void Discovery::AnswerAll(const Answer<std::string>& node) {
  for (const auto& [number, callback] : std::exchange(waiting_, {})) {
    callback(node);
  }
}

}  // namespace catchup
