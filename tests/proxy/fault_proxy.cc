#include "tests/proxy/fault_proxy.h"

#include <optional>

#include "host/base/check.h"
#include "tests/proxy/fault_proxy_loop.h"

namespace catchup {

FaultProxy::FaultProxy(const std::string& server) : loop_(std::make_unique<Loop>(server)) {
  port_ = loop_->port();
  thread_ = std::thread([loop = loop_.get()] { loop->Run(); });
}

FaultProxy::~FaultProxy() {
  loop_->Do([](Loop* loop) { loop->Stop(); });
  thread_.join();
}

void FaultProxy::Set(Direction direction, Fault fault) {
  loop_->Do([&](Loop* loop) { loop->Set(direction, fault); });
}

void FaultProxy::Set(Fault fault) {
  loop_->Do([&](Loop* loop) {
    loop->Set(Direction::kToServer, fault);
    loop->Set(Direction::kToClient, fault);
  });
}

void FaultProxy::EndAll(End end) {
  loop_->Do([end](Loop* loop) { loop->EndAll(end); });
}

void FaultProxy::CutAfter(Direction direction, std::size_t bytes, End end) {
  CATCHUP_CHECK(bytes > 0);
  loop_->Do([&](Loop* loop) { loop->CutAfter(direction, {bytes, end}); });
}

void FaultProxy::SilenceAfter(Direction direction, std::size_t bytes) {
  CATCHUP_CHECK(bytes > 0);
  loop_->Do([&](Loop* loop) { loop->CutAfter(direction, {bytes, std::nullopt}); });
}

void FaultProxy::Heal() {
  loop_->Do([](Loop* loop) { loop->Heal(); });
}

void FaultProxy::ResetCalls(std::uint32_t code) {
  loop_->Do([code](Loop* loop) { loop->ResetCalls(code); });
}

void FaultProxy::Refuse() {
  loop_->Do([](Loop* loop) { loop->Refuse(); });
}

void FaultProxy::Accept() {
  loop_->Do([](Loop* loop) { loop->Listen(); });
}

void FaultProxy::Redirect(const std::string& server) {
  loop_->Do([&](Loop* loop) { loop->Redirect(server); });
}

FaultProxy::Counts FaultProxy::counts() const {
  // An order that does nothing: whatever a peer has seen already is counted once it is done.
  loop_->Do([](Loop*) {});
  return loop_->counts();
}

bool FaultProxy::Await(const std::function<bool(const Counts&)>& reached) const {
  return loop_->Await(reached);
}

}  // namespace catchup
