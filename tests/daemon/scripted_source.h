#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "host/base/event.h"
#include "host/source/source.h"

namespace catchup {

// The id of the n-th event of the scripted log.
inline Uuid ScriptedId(std::uint64_t number) {
  Uuid id;
  id.bytes[0] = static_cast<std::uint8_t>(number);
  id.bytes[15] = static_cast<std::uint8_t>(number >> 8);
  return id;
}

// One event of the scripted log.
class ScriptedFrame final : public EventFrame {
 public:
  ScriptedFrame(std::uint64_t number, std::string type) : type_(std::move(type)) {
    event.position = {number * 100, number * 100};
    event.id = ScriptedId(number);
    event.revision = number - 1;
    event.stream = "stream";
    event.type = type_;
    event.data = "{}";
    event.is_json = true;
  }

 private:
  const std::string type_;
};

// What every source of a scripted server shows: events 1, 2, 3 …, of which the n-th lies at n*100.
class ScriptedServer {
 public:
  // Before a source asks.
  std::string version = "24.10.14";
  std::optional<EndOfCall> unreachable;  // What single questions are answered with.
  // The same, at any time.
  void SetUnreachable(std::optional<EndOfCall> end) {
    const std::lock_guard<std::mutex> lock(mutex_);
    unreachable = std::move(end);
  }
  std::string address = "scripted:1";
  // From now on the log is another one: the same places, other events.
  void SetOtherLog() {
    const std::lock_guard<std::mutex> lock(mutex_);
    other_log_ = true;
  }

  void Append(std::string type) {
    const std::lock_guard<std::mutex> lock(mutex_);
    types_.push_back(std::move(type));
    changed_.notify_all();
  }

 private:
  friend class ScriptedSource;
  std::mutex mutex_;  // Of the server and of all its sources.
  std::condition_variable changed_;
  std::vector<std::string> types_;
  bool other_log_ = false;
};

// A connection to a ScriptedServer, with a thread of its own that makes all callbacks, as a real
// source has. At most one subscription at a time.
class ScriptedSource final : public Source {
 public:
  explicit ScriptedSource(ScriptedServer* server)
      : server_(*server), address_(server->address), thread_([this] { Run(); }) {}
  ~ScriptedSource() override {
    Shutdown();
    Change([this] { ended_ = true; });
    thread_.join();
  }
  ScriptedSource(const ScriptedSource&) = delete;
  ScriptedSource& operator=(const ScriptedSource&) = delete;

  std::unique_ptr<Subscription> Subscribe(const SubscribeOptions& options,
                                          std::shared_ptr<SubscriptionSink> sink) override {
    auto call = std::make_shared<Call>();
    call->next = options.from.has_value() ? options.from->commit / 100 + 1 : 1;
    call->sink = std::move(sink);
    Change([&] { calls_.push_back(call); });
    return std::make_unique<Handle>(this, std::move(call));
  }
  void ReadHead(HeadCallback callback) override {
    Ask([this, callback = std::move(callback)](const std::optional<EndOfCall>& failure) {
      if (failure.has_value()) {
        callback(*failure);
        return;
      }
      const std::uint64_t head = Size();
      callback(head == 0 ? std::optional<Witness>()
                         : Witness{{head * 100, head * 100}, ScriptedId(head), head - 1, "stream"});
    });
  }
  void ReadEnd(PlaceCallback callback) override {
    ReadHead([callback = std::move(callback)](const auto& head) { callback(PlaceOf(head)); });
  }
  void ReadFirst(Position from, FirstCallback callback) override {
    Ask([this, from, callback = std::move(callback)](const auto&) {
      const std::uint64_t number = from.commit / 100;
      callback(std::optional(FirstRecord{from, ScriptedId(OtherLog() ? ~number : number)}));
    });
  }
  void ReadRevision(const std::string& /*stream*/, std::uint64_t revision,
                    RevisionCallback callback) override {
    Ask([this, revision, callback = std::move(callback)](const auto&) {
      callback(revision < Size()
                   ? StreamRevision{StreamRevision::Kind::kEvent, ScriptedId(revision + 1)}
                   : StreamRevision{StreamRevision::Kind::kEndsBelow, {}});
    });
  }
  void ReadNext(std::optional<Position> behind, const EventFilter&,
                PlaceCallback callback) override {
    Ask([this, behind, callback = std::move(callback)](const auto& failure) {
      if (failure.has_value()) {
        callback(*failure);
        return;
      }
      const std::uint64_t next = behind.has_value() ? behind->commit / 100 + 1 : 1;
      callback(next > Size() ? std::optional<Position>() : Position{next * 100, next * 100});
    });
  }
  void ReadVersion(VersionCallback callback) override {
    Ask([this, callback = std::move(callback)](const std::optional<EndOfCall>& failure) {
      if (failure.has_value()) {
        callback(*failure);
      } else {
        callback(server_.version);
      }
    });
  }
  void Shutdown() override {
    Change([this] { shut_down_ = true; });
  }
  std::string_view address() const override { return address_; }

 private:
  using Question = std::function<void(const std::optional<EndOfCall>& failure)>;
  struct Call {
    std::uint64_t next = 1;
    std::shared_ptr<SubscriptionSink> sink;
    bool paused = false;
    bool resumed = false;  // While a frame was being delivered.
    bool live = false;
    bool cancelled = false;
  };
  class Handle final : public Subscription {
   public:
    Handle(ScriptedSource* source, std::shared_ptr<Call> call)
        : source_(*source), call_(std::move(call)) {}
    ~Handle() override { Cancel(); }
    Handle(const Handle&) = delete;
    Handle& operator=(const Handle&) = delete;
    void Resume() override {
      source_.Change([this] {
        call_->resumed = !call_->paused;
        call_->paused = false;
      });
    }
    void Cancel() override {
      source_.Change([this] { call_->cancelled = true; });
    }

   private:
    ScriptedSource& source_;
    const std::shared_ptr<Call> call_;
  };

  template <typename What>
  void Change(What what) {
    const std::lock_guard<std::mutex> lock(server_.mutex_);
    what();
    server_.changed_.notify_all();
  }
  void Ask(Question question) {
    Change([&] { questions_.push_back(std::move(question)); });
  }
  std::uint64_t Size() {
    const std::lock_guard<std::mutex> lock(server_.mutex_);
    return server_.types_.size();
  }
  bool OtherLog() {
    const std::lock_guard<std::mutex> lock(server_.mutex_);
    return server_.other_log_;
  }

  // Does one thing, outside of the lock; false when there is nothing to do.
  bool Step(std::unique_lock<std::mutex>* lock) {
    if (!questions_.empty()) {
      const Question question = std::move(questions_.front());
      questions_.pop_front();
      const auto failure = shut_down_ ? std::optional(EndOfCall{.text = "scripted: shut down"})
                                      : server_.unreachable;
      lock->unlock();
      question(failure);
      lock->lock();
      return true;
    }
    if (calls_.empty()) {
      return false;
    }
    const std::shared_ptr<Call> call = calls_.front();
    if (shut_down_ || call->cancelled) {
      calls_.pop_front();
      lock->unlock();
      call->sink->OnEnded({.code = 1, .text = "scripted: cancelled"});
      lock->lock();
      return true;
    }
    const bool has_event = server_.types_.size() >= call->next;
    if (call->paused || (!has_event && call->live)) {
      return false;
    }
    auto frame = has_event
                     ? std::make_unique<ScriptedFrame>(call->next, server_.types_[call->next - 1])
                     : nullptr;
    call->resumed = false;
    lock->unlock();
    const bool go_on =
        has_event ? call->sink->OnEvent(std::move(frame)) : call->sink->OnCaughtUp(std::nullopt);
    call->sink->OnRoundEnd();
    lock->lock();
    call->next += has_event ? 1 : 0;
    call->live = call->live || !has_event;
    call->paused = !go_on && !call->resumed;
    return true;
  }

  void Run() {
    std::unique_lock<std::mutex> lock(server_.mutex_);
    while (true) {
      if (Step(&lock)) {
        continue;
      }
      if (ended_ && calls_.empty()) {
        return;
      }
      server_.changed_.wait(lock);
    }
  }

  ScriptedServer& server_;
  const std::string address_;
  // With the server's lock.
  bool shut_down_ = false;
  bool ended_ = false;
  std::deque<Question> questions_;
  std::deque<std::shared_ptr<Call>> calls_;
  std::thread thread_;  // Last: it uses the rest.
};

}  // namespace catchup
