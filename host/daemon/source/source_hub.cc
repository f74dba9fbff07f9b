#include "host/daemon/source/source_hub.h"

#include <utility>

#include "host/base/log.h"
#include "host/base/random.h"
#include "host/base/test_seams.h"

namespace catchup {

class SourceHub::Member final : public SourceWatch {
 public:
  Member(SourceHub* hub, Prober::Member number) : hub_(*hub), number_(number) {}
  ~Member() override {
    hub_.reactor_.Post([&hub = hub_, number = number_] {
      hub.on_reactor_.AssertHeld();
      hub.prober_.Leave(number);
      hub.answers_.erase(number);
      hub.Arm();
    });
  }
  Member(const Member&) = delete;
  Member& operator=(const Member&) = delete;

  void Miss() override {
    hub_.reactor_.Post([&hub = hub_, number = number_] {
      hub.on_reactor_.AssertHeld();
      hub.prober_.OnLost(number, hub.Now(), RandomNumber());
      hub.Arm();
    });
  }
  void Found() override {
    hub_.reactor_.Post([&hub = hub_, number = number_] {
      hub.on_reactor_.AssertHeld();
      hub.Wake(hub.prober_.OnFound(number, hub.Now(), RandomNumber()));
      hub.Arm();
    });
  }

 private:
  SourceHub& hub_;
  const Prober::Member number_;
};

SourceHub::SourceHub(SourceSide::Services services, Reactor* reactor, const Prober::Pace& pace,
                     Patience patience)
    : services_(std::move(services)),
      patience_(std::move(patience)),
      reactor_(*reactor),
      prober_(pace) {}

std::unique_ptr<SourceWatch> SourceHub::Watch(std::function<void()> answers) {
  const Prober::Member number = ++last_;
  reactor_.Post([this, number, answers = std::move(answers)] {
    on_reactor_.AssertHeld();
    answers_.emplace(number, answers);
  });
  return std::make_unique<Member>(this, number);
}

std::chrono::nanoseconds SourceHub::Now() const {
  return (std::chrono::steady_clock::now() - started_) * WaitSpeed();
}

void SourceHub::Wake(const Prober::Wakes& wakes) {
  for (const Prober::Wake& wake : wakes) {
    reactor_.After(FixedWait(wake.at - Now()), [this, member = wake.member] {
      on_reactor_.AssertHeld();
      const auto found = answers_.find(member);
      if (found != answers_.end()) {
        // A copy, since it may end the watch.
        const std::function<void()> answers = found->second;
        answers();
      }
    });
  }
}

void SourceHub::Arm() {
  if (timer_.has_value()) {
    reactor_.Cancel(*std::exchange(timer_, std::nullopt));
  }
  if (const auto next = prober_.next_try()) {
    timer_ = reactor_.After(FixedWait(*next - Now()), [this] {
      on_reactor_.AssertHeld();
      timer_.reset();
      Try();
    });
  }
}

void SourceHub::Try() {
  prober_.OnTryBegun(Now());
  if (services_.discovery == nullptr) {
    TryAt(services_.address());
    return;
  }
  services_.discovery->Find([this](const Answer<std::string>& node) {
    on_reactor_.AssertHeld();
    if (node.ok()) {
      TryAt(*node);
    } else {
      OnTried(IsRefusal(node.end().kind) ? Tried::kAnswers : Tried::kServesNothing);
    }
  });
}

void SourceHub::TryAt(const std::string& address) {
  auto opened = services_.open(address, "probe");
  if (!opened.ok()) {
    OnTried(Tried::kServesNothing);
    return;
  }
  source_ = *std::move(opened);
  source_->ReadHead([this](const Answer<std::optional<Witness>>& head) {
    reactor_.Post([this, tried = WhatCameOf(head)] {
      on_reactor_.AssertHeld();
      OnTried(tried);
    });
  });
  if (was_silent_ && patient_ == nullptr && patience_.open != nullptr) {
    TryPatiently(address);
  }
}

SourceHub::Tried SourceHub::WhatCameOf(const Answer<std::optional<Witness>>& head) {
  // A refusal is an answer, which the groups are to hear too, and so is where the leader is.
  if (head.ok() || IsRefusal(head.end().kind) || head.end().leader.has_value()) {
    return Tried::kAnswers;
  }
  return head.end().answered ? Tried::kServesNothing : Tried::kSilent;
}

void SourceHub::TryPatiently(const std::string& address) {
  auto opened = patience_.open(address, "probe");
  if (!opened.ok()) {
    return;
  }
  patient_ = *std::move(opened);
  patient_->ReadHead(
      [this, number = ++patient_number_, address](const Answer<std::optional<Witness>>& head) {
        reactor_.Post([this, number, address, tried = WhatCameOf(head)] {
          on_reactor_.AssertHeld();
          if (number == patient_number_ && patient_ != nullptr) {
            EndPatientTry();
            slow_ = tried == Tried::kAnswers ? address : std::string();
          }
        });
      });
}

void SourceHub::EndPatientTry() {
  slow_.clear();
  if (patient_ != nullptr) {
    patient_->Shutdown();
    services_.retire(std::exchange(patient_, nullptr));
  }
}

bool SourceHub::Answers(Tried tried, const std::string& address) {
  was_silent_ = tried == Tried::kSilent;
  const bool is_slow = was_silent_ && address == slow_;
  const bool answers = is_slow || tried == Tried::kAnswers;
  if (answers) {
    EndPatientTry();
    if (patience_.set_slow != nullptr) {
      patience_.set_slow(address, is_slow);
    }
  }
  return answers;
}

void SourceHub::OnTried(Tried tried) {
  bool answers = tried == Tried::kAnswers;
  if (source_ != nullptr) {
    const std::string address(source_->address());
    answers = Answers(tried, address);
    if (answers) {
      Log(LogLevel::kInfo, "Server answers again", "Host.Probe", "", {{"source", address}});
    } else if (services_.discovery != nullptr) {
      services_.discovery->Lost(address);
    }
    source_->Shutdown();
    services_.retire(std::exchange(source_, nullptr));
  }
  Wake(prober_.OnTryEnded(answers, Now(), RandomNumber()));
  Arm();
}

}  // namespace catchup
