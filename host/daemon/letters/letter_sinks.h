#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "host/config/config.h"
#include "host/daemon/threads/reactor.h"
#include "host/daemon/threads/worker_pool.h"
#include "host/store/letter_feeder.h"
#include "host/store/letter_sink.h"

namespace catchup {

// Names of streams that the host writes letters to. No group gets their events.
using SinkStreams = std::set<std::string, std::less<>>;

// The streams of all configured groups, whether or not they run.
SinkStreams SinkStreamsOf(const std::vector<GroupConfig>& groups);

// What the sinks of all groups share. Only needed where there are any; must outlive the groups.
struct SinkServices {
  // A thread each: a server that does not answer keeps no file waiting, and neither keeps a store.
  WorkerPool* files = nullptr;
  WorkerPool* streams = nullptr;
  // Makes the sink of a group that is this stream; connects to nothing yet.
  std::function<std::unique_ptr<LetterSink>(const std::string& group, const std::string& stream)>
      open_stream;
  const SinkStreams* skipped = nullptr;
};

// A sink at a glance, as it was when it was last fed.
struct SinkStatus {
  std::string name;          // As configured.
  std::uint64_t behind = 0;  // Steps of letters that it lacks.
  std::string trouble;       // Why it does not take them; empty where it works.
};

// Feeds the sinks of one group from its letters' store, each at its own pace, on the threads of the
// host's sinks. What a sink is behind lies in the store, so nothing is lost by a stop at any time.
//
// All functions: any thread; all but Settle() under any lock of the group.
class LetterSinks {
 public:
  // The store as one of the sinks sees it; see LetterFeeder::Store. Called on the sinks' threads,
  // perhaps still while Close() returns.
  using StoreOf = std::function<LetterFeeder::Store(const std::string& sink)>;

  // `services` may be null for a group without sinks.
  LetterSinks(const GroupConfig& config, const SinkServices* services, Reactor* reactor,
              const StoreOf& store_of);
  ~LetterSinks();
  LetterSinks(const LetterSinks&) = delete;
  LetterSinks& operator=(const LetterSinks&) = delete;

  // There may be a new step.
  void Wake();

  // Waits until each sink has every step that it was woken for, or fails, or `deadline` has come.
  // Not on a thread that the sinks need.
  void Settle(std::chrono::steady_clock::time_point deadline);

  std::vector<SinkStatus> Glance() const;

  // Ends all deliveries; one under way is cut short, and comes again in the next run.
  void Close();

 private:
  class Line;
  std::vector<std::shared_ptr<Line>> lines_;
};

}  // namespace catchup
