#pragma once

#include <array>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <list>
#include <mutex>
#include <optional>
#include <string>

#include "host/base/unique_fd.h"
#include "tests/proxy/fault_proxy.h"
#include "tests/proxy/proxied_connection.h"

namespace catchup {

// All but the handing over of orders and counts belongs to the loop's thread.
class FaultProxy::Loop {
 public:
  explicit Loop(const std::string& server);

  std::uint16_t port() const;

  // Runs `order` on the loop's thread and waits until it has.
  void Do(std::function<void(Loop*)> order);

  Counts counts() const;
  bool Await(const std::function<bool(const Counts&)>& reached) const;

  void Run();

  // --- Orders. ---

  void Stop();
  void Set(Direction direction, const Fault& fault) { faults_[proxy::Index(direction)] = fault; }
  void EndAll(End end);
  void CutAfter(Direction direction, const proxy::Cut& cut) {
    cuts_[proxy::Index(direction)] = cut;
  }
  void ResetCalls(std::uint32_t code);
  void Heal();
  void Refuse() { listener_ = UniqueFd(); }
  void Listen();
  void Redirect(const std::string& server);

 private:
  bool Swallows(const proxy::Connection& connection, Direction direction) const;
  bool MayRead(const proxy::Connection& connection, Direction direction) const;
  // When the front of a pipe may go; null while it may not by time alone.
  std::optional<proxy::Clock::time_point> DueAt(const proxy::Connection& connection,
                                                Direction direction) const;
  void Wait();
  void Obey();
  void TakeConnections();
  void Serve(proxy::Connection* connection);
  void Read(proxy::Connection* connection, Direction direction);
  void PassOn(proxy::Connection* connection, Direction direction);
  void AddResets(proxy::Connection* connection);
  std::size_t Portion(const proxy::Connection& connection, Direction direction) const;
  void Passed(proxy::Connection* connection, Direction direction, std::size_t bytes);
  void TellEnds(proxy::Connection* connection);
  void CloseOver();

  std::uint16_t server_port_;
  const UniqueFd reserved_;  // Keeps the port while nobody listens.
  const UniqueFd wake_;
  UniqueFd listener_;
  std::list<proxy::Connection> connections_;
  std::string scratch_ = std::string(64u << 10, '\0');
  std::array<Fault, 2> faults_;
  std::array<std::optional<proxy::Cut>, 2> cuts_;
  Counts counts_;
  bool stop_ = false;

  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  std::function<void(Loop*)> order_;  // Under the lock, as the next.
  Counts told_;
};

}  // namespace catchup
