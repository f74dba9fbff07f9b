#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "host/base/check.h"
#include "host/base/end_of_call.h"
#include "host/base/event.h"
#include "host/base/event_filter.h"
#include "host/base/position.h"
#include "host/base/status.h"
#include "host/base/witness.h"

namespace catchup {

// Where events come from, as the rest of the host sees it: no transport shows through.
//
// A Source is one connection to one server. Every callback below is made on the one thread that
// serves it, one at a time, whatever number of subscriptions the source carries. Other sources may
// share that thread: a callback that blocks holds them up, so callbacks only hand things over.

// One event as received, with the bytes it came in. The views of `event` point into memory that the
// frame owns: they live exactly as long as the frame, wherever the pointer to it travels.
class EventFrame {
 public:
  virtual ~EventFrame() = default;
  EventFrame(const EventFrame&) = delete;
  EventFrame& operator=(const EventFrame&) = delete;

  // An event reached through a link is the event linked to, at the link's position, which is the
  // one to store and to resume from.
  EventView event;

  // The link's target is gone. `event` then holds the link record itself.
  bool target_missing = false;

 protected:
  EventFrame() = default;
};

// What a server answers to a question, or else how the call that asked it ended.
template <typename T>
class Answer {
 public:
  Answer(T value) : value_(std::move(value)) {}    // NOLINT(google-explicit-constructor)
  Answer(EndOfCall end) : end_(std::move(end)) {}  // NOLINT(google-explicit-constructor)

  bool ok() const { return value_.has_value(); }
  // Only when ok().
  const T& operator*() const {
    CATCHUP_CHECK(ok());
    return *value_;
  }
  const T* operator->() const { return &**this; }
  // Only when not ok().
  const EndOfCall& end() const { return end_; }

 private:
  std::optional<T> value_;
  EndOfCall end_;
};

inline Answer<std::optional<Position>> PlaceOf(const Answer<std::optional<Witness>>& event) {
  return event.ok() ? Answer<std::optional<Position>>(PlaceOf(*event)) : event.end();
}

// The most that a round of a source's thread is made of, over all that it serves: what one
// subscription is held back by a flood on another one. Enough to make a wake-up cheap, and less
// than a sleeping thread needs to come to life.
struct SourceRound {
  static constexpr int kMostFrames = 64;
  static constexpr std::chrono::microseconds kLongest{100};
};

// Receives one subscription. Called on the source's thread, never concurrently. The source keeps
// the sink alive until OnEnded has returned, and calls nothing after that.
//
// The first three return whether to ask for the next frame now. False pauses the subscription: the
// call stays open and unread, and the server waits, until Subscription::Resume().
class SubscriptionSink {
 public:
  virtual ~SubscriptionSink() = default;

  // Positions of events strictly increase within a subscription.
  virtual bool OnEvent(std::unique_ptr<EventFrame> frame) = 0;

  // Everything that matches up to `position` has been passed to OnEvent. It may equal the position
  // of the event before it. Never kEndOfLog.
  virtual bool OnCheckpoint(Position position) = 0;

  // The subscription is live. Comes again when it fell behind and caught up again. `position`, when
  // the server tells it, is a place to resume from, like a checkpoint's.
  virtual bool OnCaughtUp(std::optional<Position> position) = 0;

  // Ends a round: what the source had at hand when it began, at most SourceRound's bounds of it,
  // was passed on, and it may wait next. Comes behind each run of the three above, so that what has
  // to be said to others of several frames can be said once. Not behind OnEnded.
  virtual void OnRoundEnd() {}

  // Exactly once, last. A new Subscribe may be made from inside, though not at once in a loop:
  // pacing is the caller's business.
  virtual void OnEnded(EndOfCall end) = 0;
};

// A handle on a subscription. Destroying it is a Cancel. Any thread, also from inside a callback.
class Subscription {
 public:
  virtual ~Subscription() = default;

  // Asks for frames again. Never lost: a Resume that comes while the callback which is about to
  // return false still runs takes effect after it. No effect on a subscription that is not paused
  // or has ended.
  virtual void Resume() = 0;

  // Ends the call at once, connected or not, paused or not. OnEnded still comes, on the source's
  // thread, with EndClass::kDropped; a callback that is running meanwhile finishes first and no
  // other frame follows. No effect on a subscription that has ended.
  virtual void Cancel() = 0;
};

struct SubscribeOptions {
  // Exclusive, both halves as received. Null: from the beginning of the log.
  std::optional<Position> from;
  // Only what is written from now on; `from` is then ignored.
  bool from_end = false;
  EventFilter filter;  // Must have at least one prefix.
};

class Source {
 public:
  // Cancels whatever is open and waits until every callback that is owed has been made. So not from
  // inside a callback, nor from that of another source.
  virtual ~Source() = default;

  // Opens a subscription; does not block and cannot fail itself, failure arrives as OnEnded, which
  // can come before this returns. After Shutdown() that is all that comes. Any thread.
  virtual std::unique_ptr<Subscription> Subscribe(const SubscribeOptions& options,
                                                  std::shared_ptr<SubscriptionSink> sink) = 0;

  // The newest event of the log, links unresolved, null for an empty log. The callback comes
  // exactly once on the source's thread, within the source's deadline for single reads. Any thread.
  using HeadCallback = std::function<void(const Answer<std::optional<Witness>>& head)>;
  virtual void ReadHead(HeadCallback callback) = 0;

  // Position of the last record of the log as a subscription from its end tells it: records count
  // that single reads do not show, so it may lie beyond the head. Null where the server does not
  // say. Only of servers for which SaysCaughtUp. Called back like ReadHead. Any thread.
  using PlaceCallback = std::function<void(const Answer<std::optional<Position>>& place)>;
  virtual void ReadEnd(PlaceCallback callback) = 0;

  // The first record at or after `from`, whatever its type, as single reads show them; null when
  // there is none. Without an answer it ends as a subscription from there would, with
  // EndClass::kInvalidPosition where the server knows no such place. Called back like ReadHead. Any
  // thread.
  using FirstCallback = std::function<void(const Answer<std::optional<FirstRecord>>& first)>;
  virtual void ReadFirst(Position from, FirstCallback callback) = 0;

  // What `stream` has at `revision`, links unresolved. Called back like ReadHead. Any thread.
  using RevisionCallback = std::function<void(const Answer<StreamRevision>& found)>;
  virtual void ReadRevision(const std::string& stream, std::uint64_t revision,
                            RevisionCallback callback) = 0;

  // Position of the first event behind `behind`, null being the beginning of the log, that a
  // subscription with this filter would bring; null when there is none. Called back like ReadHead.
  // Any thread.
  virtual void ReadNext(std::optional<Position> behind, const EventFilter& filter,
                        PlaceCallback callback) = 0;

  // What the server says its version is, as "24.10.14"; empty from one that does not say. Called
  // back like ReadHead. Any thread.
  using VersionCallback = std::function<void(const Answer<std::string>& version)>;
  virtual void ReadVersion(VersionCallback callback) = 0;

  // Cancels everything open and refuses what comes later. Returns at once. Any thread.
  virtual void Shutdown() = 0;

  // Where this source connects to, for logs.
  virtual std::string_view address() const = 0;
};

// What is known of a server by its version, as ReadVersion gives it; one that is not known counts
// as old.

// Whether a subscription goes on behind the very place it is given. Those before 24.2 go on behind
// the first record at or after the place, so where no record lies there, the next one is left out.
bool ResumesAnywhere(std::string_view version);

// Whether it says when a subscription has become live: from 23.10 on.
bool SaysCaughtUp(std::string_view version);

}  // namespace catchup
