#include "host/daemon/watch/head_probe.h"

#include <string>
#include <utility>

#include "host/base/test_seams.h"

namespace catchup {
namespace {

constexpr std::chrono::seconds kInterval{5};
constexpr std::chrono::seconds kIdleInterval{10};
// Failed logins fill the server's log.
constexpr std::chrono::seconds kRefusedInterval{60};

}  // namespace

HeadProbe::HeadProbe(SourceSide::Services services, Reactor* reactor, Found found, Moved moved)
    : services_(std::move(services)),
      reactor_(*reactor),
      found_(std::move(found)),
      moved_(std::move(moved)) {}

void HeadProbe::Look(const std::vector<GroupStatus>& groups, Clock::time_point now) {
  on_reactor_.AssertHeld();
  if (asked_ || now < next_) {
    return;
  }
  bool someone_moves = false;
  bool someone_lives = false;
  for (const GroupStatus& status : groups) {
    someone_lives = someone_lives || !status.finished;
    someone_moves = someone_moves || (!status.finished && status.state != GroupState::kCaughtUp);
  }
  if (!someone_lives) {
    return;
  }
  next_ = now + FixedWait(someone_moves ? kInterval : kIdleInterval);
  if (!Connect().ok()) {
    next_ = now + FixedWait(kInterval);
    return;
  }
  asked_ = true;
  source_->ReadHead([this, now](const Answer<std::optional<Witness>>& head) {
    reactor_.Post([this, head, now] {
      on_reactor_.AssertHeld();
      asked_ = false;
      OnAnswer(head, now);
    });
  });
}

void HeadProbe::OnAnswer(const Answer<std::optional<Witness>>& head, Clock::time_point asked_at) {
  const std::string address(source_->address());
  if (head.ok()) {
    if (left_.has_value() && *left_ != address && moved_ != nullptr) {
      moved_(*left_, address);
    }
    left_.reset();
    found_(*head);
    return;
  }
  const EndClass why = head.end().kind;
  if (IsRefusal(why)) {
    next_ = asked_at + FixedWait(kRefusedInterval);
  } else if (services_.discovery != nullptr) {
    services_.discovery->Lost(address);
    if (why == EndClass::kNotLeader || why == EndClass::kNotReady) {
      left_ = left_.value_or(address);
      next_ = asked_at + FixedWait(kInterval);
    }
  }
}

void HeadProbe::AccessChanged() {
  on_reactor_.AssertHeld();
  next_ = {};
}

void HeadProbe::ReadNext(std::optional<Position> behind, const EventFilter& filter,
                         Source::PlaceCallback callback) {
  reactor_.Post([this, behind, filter, callback = std::move(callback)] {
    on_reactor_.AssertHeld();
    if (const Status connected = Connect(); connected.ok()) {
      source_->ReadNext(behind, filter, callback);
    } else {
      callback(EndOfCall{.text = connected.message()});
    }
  });
}

// Where to ask, if that is known: of a cluster it may have to be found, which the next look profits
// from.
Result<std::string> HeadProbe::Address() {
  if (services_.discovery == nullptr) {
    return services_.address();
  }
  if (auto node = services_.discovery->known()) {
    return *std::move(node);
  }
  services_.discovery->Find([](const Answer<std::string>&) {});
  return Status::Unavailable("the node of the cluster to ask is being looked for");
}

Status HeadProbe::Connect() {
  CATCHUP_ASSIGN_OR_RETURN(const std::string address, Address());
  if (source_ != nullptr && source_->address() == address) {
    return {};
  }
  auto opened = services_.open(address, "head");
  if (!opened.ok()) {
    return opened.status();
  }
  if (source_ != nullptr) {
    source_->Shutdown();
    services_.retire(std::move(source_));
  }
  source_ = std::move(*opened);
  return {};
}

}  // namespace catchup
