#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "host/source/source.h"

namespace catchup {

// Writes down what it is told, in order, and lets a test wait for it.
class RecordingSink final : public SubscriptionSink {
 public:
  // Far more than anything here takes on a busy machine; only a failing test waits so long.
  static constexpr std::chrono::seconds kPatience{30};

  // Pauses the subscription after every call from the `count`-th on.
  void PauseFrom(std::size_t count) {
    const std::lock_guard lock(mutex_);
    pause_from_ = count;
  }

  // Runs on the source's thread inside of every OnRoundEnd.
  void SetOnRoundEnd(std::function<void()> action) {
    const std::lock_guard lock(mutex_);
    on_round_end_ = std::move(action);
  }

  // Runs on the source's thread inside of every OnEvent.
  void SetOnEvent(std::function<void()> action) {
    const std::lock_guard lock(mutex_);
    on_event_ = std::move(action);
  }

  bool OnEvent(std::unique_ptr<EventFrame> frame) override {
    std::function<void()> action;
    {
      const std::lock_guard lock(mutex_);
      action = on_event_;
    }
    if (action) {
      action();
    }
    const std::lock_guard lock(mutex_);
    frames_.push_back(std::move(frame));
    const EventView& event = frames_.back()->event;
    return Note("event " + FormatPosition(event.position));
  }

  bool OnCheckpoint(Position position) override {
    const std::lock_guard lock(mutex_);
    return Note("checkpoint " + FormatPosition(position));
  }

  bool OnCaughtUp(std::optional<Position> position) override {
    const std::lock_guard lock(mutex_);
    return Note("caught up" + (position ? " " + FormatPosition(*position) : ""));
  }

  void OnRoundEnd() override {
    std::function<void()> action;
    {
      const std::lock_guard lock(mutex_);
      calls_after_end_ += end_.has_value() ? 1 : 0;
      action = on_round_end_;
    }
    if (action) {
      action();
    }
  }

  void OnEnded(EndOfCall end) override {
    const std::lock_guard lock(mutex_);
    calls_after_end_ += end_.has_value() ? 1 : 0;
    end_ = std::move(end);
    changed_.notify_all();
  }

  // Whether `count` calls have come before time runs out.
  bool AwaitCount(std::size_t count) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, kPatience, [&] { return notes_.size() >= count; });
  }

  // The same, or the end has come without so many: false.
  bool AwaitCountOrEnd(std::size_t count) {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, kPatience, [&] { return notes_.size() >= count || end_.has_value(); });
    return notes_.size() >= count;
  }

  // Null if the end does not come.
  std::optional<EndOfCall> AwaitEnd() {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, kPatience, [&] { return end_.has_value(); });
    return end_;
  }

  std::vector<std::string> notes() {
    const std::lock_guard lock(mutex_);
    return notes_;
  }

  // Frames stay alive with the sink.
  const EventView& event(std::size_t i) {
    const std::lock_guard lock(mutex_);
    return frames_.at(i)->event;
  }

  int calls_after_end() {
    const std::lock_guard lock(mutex_);
    return calls_after_end_;
  }

 private:
  bool Note(std::string note) {
    calls_after_end_ += end_.has_value() ? 1 : 0;
    notes_.push_back(std::move(note));
    changed_.notify_all();
    return notes_.size() < pause_from_;
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::string> notes_;
  std::vector<std::unique_ptr<EventFrame>> frames_;
  std::optional<EndOfCall> end_;
  std::function<void()> on_event_;
  std::function<void()> on_round_end_;
  std::size_t pause_from_ = SIZE_MAX;
  int calls_after_end_ = 0;
};

}  // namespace catchup
