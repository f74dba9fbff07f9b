#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "host/config/config.h"
#include "host/daemon/source/discovery.h"
#include "host/daemon/threads/gate.h"
#include "host/engine/engine.h"
#include "host/source/source.h"

namespace catchup {

// What a group hears from its source, each inside a turn of its gate. Calls and ends are numbered
// as the engine numbers them, so that it knows a late one.
class SourceListener {
 public:
  virtual void OnServerKnown(CallNumber call, const ServerTraits& traits) = 0;
  virtual void OnEndKnown(CallNumber call, std::optional<Position> end) = 0;
  virtual void OnWitness(CallNumber call, const std::optional<FirstRecord>& first) = 0;
  virtual void OnWitnessStream(CallNumber call, const StreamRevision& found) = 0;
  virtual void OnProbed(CallNumber call, std::optional<Position> found) = 0;
  virtual void OnHead(CallNumber call, const std::optional<Witness>& head) = 0;
  virtual void OnNext(CallNumber call, const Answer<std::optional<Position>>& next) = 0;
  virtual void OnEvent(CallNumber call, std::unique_ptr<EventFrame> frame) = 0;
  virtual void OnCheckpoint(CallNumber call, Position position) = 0;
  virtual void OnCaughtUp(CallNumber call, std::optional<Position> position) = 0;
  virtual void OnEnded(CallNumber call, const EndOfCall& end) = 0;
  // See SourceWatch.
  virtual void OnSourceAnswers() = 0;

 protected:
  ~SourceListener() = default;
};

// A group's place among those that share a source: whoever misses the source is told, once for each
// time that it says so, as soon as the source answers one of them or whoever looks for it. Its end
// ends that. Any thread; waits for nothing.
class SourceWatch {
 public:
  virtual ~SourceWatch() = default;
  virtual void Miss() = 0;
  virtual void Found() = 0;
};

// A group's side towards the server: its connection, the one call that is open, and whether that is
// being read. Follows a server that has moved, and a node that is not the leader to the one that
// is. Waits for nothing.
//
// A connection on which a call was dropped, or given up, is not used again: it may be dead without
// knowing, or wait before it connects, and what it waits for is decided elsewhere.
//
// All functions: inside a turn of the gate.
class SourceSide {
 public:
  struct Services {
    // Where the server is now; of a cluster of which no node is known, where that is looked for.
    // Any thread; waits for nothing.
    std::function<std::string()> address;
    // Finds the node of a cluster to connect to; null: the server is where `address` says.
    Discovery* discovery = nullptr;
    // Opens a connection of the group's own. kExhausted: the machine has nothing left for it.
    std::function<Result<std::unique_ptr<Source>>(const std::string& address,
                                                  const std::string& group)>
        open;
    // The same for the leader of the cluster, where another node will do otherwise: finds it, null
    // being as above, and opens a connection that serves nobody unless it leads to the leader.
    // Null: whoever is connected to is the leader.
    Discovery* leaders = nullptr;
    std::function<Result<std::unique_ptr<Source>>(const std::string& address,
                                                  const std::string& group)>
        open_leader{};
    // A place among those that share the source; `answers` is called on a thread of its owner's.
    // Null: there is none, and the group tries by itself.
    std::function<std::unique_ptr<SourceWatch>(std::function<void()> answers)> watch;
    // Source::ReadNext on a connection to where the server is now that is not the group's, which
    // may be what is not well. Called back on any thread, from outside. Null: silence is not looked
    // into.
    std::function<void(std::optional<Position> behind, const EventFilter& filter,
                       Source::PlaceCallback callback)>
        read_next{};
    // Ends a source elsewhere, since that waits for its thread. Any thread, under any lock.
    std::function<void(std::shared_ptr<Source>)> retire;
  };

  // `config` and `listener` must outlive it.
  SourceSide(const GroupConfig& config, Services services, std::shared_ptr<Gate> gate,
             SourceListener* listener);
  SourceSide(const SourceSide&) = delete;
  SourceSide& operator=(const SourceSide&) = delete;

  // First; again until it succeeds. Of a cluster nothing is opened before a node is needed.
  Status Open();

  // The steps of a call, as the engine orders them. `to_leader`: whichever node is preferred.
  void Connect(CallNumber call, bool to_leader);
  void ReadEnd(CallNumber call, Position from);
  void ReadWitness(CallNumber call, const KnownWitness& witness);
  void ReadWitnessStream(CallNumber call, const KnownWitness& witness);
  void Probe(CallNumber call, Position from);
  void Subscribe(CallNumber call, std::optional<Position> from);
  void ReadNext(CallNumber call, std::optional<Position> behind);
  // `silent`: the node of the call keeps back what the call should bring, and is avoided.
  void Cancel(bool silent);

  // The node at `from` does not serve any more, and the one at `to` does. A subscription that is
  // open at the first, where it may be silent for ever, ends as if that node had said so itself.
  void Leave(const std::string& from, const std::string& to);

  // Until Found(), OnSourceAnswers() comes once the source answers anybody.
  void Miss();
  void Found();

  // Whether the engine has room for frames: the call is read, or left unread.
  void Flow(bool wants);
  bool paused() const { return paused_; }

  // The source has more at hand, or soon another turn that says it has not: what is to be told
  // elsewhere of several frames can wait until then.
  bool in_round() const { return in_round_; }

  // The newest event of the log. Comes in a turn; not after Shutdown.
  void ReadHead(std::function<void(const Answer<std::optional<Position>>&)> done);

  // Ends what is open and refuses what comes later, without waiting. Misses nothing any more.
  void Shutdown();

  // The very end: what is left, to be destroyed outside of the gate, where its thread may be
  // waiting for a turn that it will not get.
  struct Rest {
    std::shared_ptr<Source> source;
    std::unique_ptr<Subscription> subscription;  // Goes first.
  };
  Rest Close();

  std::string address() const {
    return source_ != nullptr ? std::string(source_->address()) : services_.address();
  }
  CallNumber call() const { return call_; }

 private:
  class Sink;

  // Why there is no connection.
  using Reached = std::function<void(const std::optional<EndOfCall>& failed)>;

  // Who finds the node of the present call; null: it need not be found.
  Discovery* search() const { return to_leader_ ? services_.leaders : services_.discovery; }
  // Calls `then` in this turn or a later one, with a connection to the server or why there is none.
  void Reach(Reached then);
  std::optional<EndOfCall> FollowServer(const std::string& address);
  void Learn(CallNumber call, const EndOfCall& end);
  void Ended(CallNumber call, const EndOfCall& end);
  void OnVersion(CallNumber call, const Answer<std::string>& version);
  void TellHead(CallNumber call, const Answer<std::optional<Witness>>& head);
  void OnEndOfLog(CallNumber call, const Answer<std::optional<Position>>& end);

  const GroupConfig& config_;
  const Services services_;
  const std::shared_ptr<Gate> gate_;
  SourceListener& listener_;
  std::shared_ptr<Source> source_;
  std::unique_ptr<Subscription> subscription_;
  CallNumber call_ = 0;
  bool to_leader_ = false;    // As call_ is to be,
  bool from_leader_ = false;  // and as source_ was opened.
  // The last call that got so far, that was cancelled, whose end says nothing of the server, and
  // that was left, whose end was told before it came.
  CallNumber subscribed_ = 0;
  CallNumber cancelled_ = 0;
  CallNumber left_ = 0;
  bool says_caught_up_ = false;  // Whether the server of this call does.
  bool head_told_ = false;       // In this call already.
  bool paused_ = false;
  bool in_round_ = false;
  bool worn_ = false;  // A call on this connection was dropped or given up.
  bool shut_down_ = false;
  std::optional<std::string> leader_;  // As the last call said, which a node ended that is none.
  // The last search for a node, and whose.
  Discovery* searched_by_ = nullptr;
  Discovery::Number search_number_ = 0;
  std::unique_ptr<SourceWatch> watch_;
};

}  // namespace catchup
