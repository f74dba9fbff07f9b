#include "host/daemon/head_probe.h"

#include <string>
#include <utility>

#include "host/base/test_seams.h"

namespace catchup {
namespace {

constexpr std::chrono::seconds kInterval{2};
constexpr std::chrono::seconds kIdleInterval{10};
// Failed logins fill the server's log.
constexpr std::chrono::seconds kRefusedInterval{60};

}  // namespace

HeadProbe::HeadProbe(SourceSide::Services services, Reactor* reactor, Found found)
    : services_(std::move(services)), reactor_(*reactor), found_(std::move(found)) {}

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
  if (!Connect()) {
    return;
  }
  asked_ = true;
  source_->ReadHead([this, now](const Answer<std::optional<Position>>& head) {
    reactor_.Post([this, head, now] {
      on_reactor_.AssertHeld();
      asked_ = false;
      if (head.ok()) {
        found_(*head);
      } else if (IsRefusal(head.end().kind)) {
        next_ = now + FixedWait(kRefusedInterval);
      }
    });
  });
}

void HeadProbe::AccessChanged() {
  on_reactor_.AssertHeld();
  next_ = {};
}

// Connects to where the server is now.
bool HeadProbe::Connect() {
  const std::string address = services_.address();
  if (source_ != nullptr && source_->address() == address) {
    return true;
  }
  auto opened = services_.open(address, "head");
  if (!opened.ok()) {
    return false;
  }
  if (source_ != nullptr) {
    source_->Shutdown();
    services_.retire(std::move(source_));
  }
  source_ = std::move(*opened);
  return true;
}

}  // namespace catchup
