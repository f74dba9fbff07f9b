#pragma once

#include <functional>
#include <memory>
#include <utility>

#include "host/base/mutex.h"

namespace catchup {

// The mutex of a group, and the way in for what comes from other threads: frames, outcomes, timers,
// results of the store. Each is a turn: it has the group to itself, and what follows from it is
// carried out before the next one. Once closed, nobody gets in any more, so what calls back later
// than its group lives does no harm; it needs the gate alone, which is shared.
//
// Any thread; not from inside a turn.
class Gate {
 public:
  // `after` ends every turn.
  explicit Gate(std::function<void()> after) : after_(std::move(after)) {}
  Gate(const Gate&) = delete;
  Gate& operator=(const Gate&) = delete;

  // Waits for the turn before and runs `turn`. False, and nothing ran: the gate is closed.
  template <typename Turn>
  bool Enter(Turn&& turn) {
    return Enter(std::forward<Turn>(turn), [] { return true; });
  }

  // Returns what `answer` says at the end of the turn; false where none was had.
  template <typename Turn, typename Answer>
  bool Enter(Turn&& turn, Answer&& answer) {
    const MutexLock lock(&mutex_);
    if (closed_) {
      return false;
    }
    turn();
    after_();
    return answer();
  }

  // Looks without a turn, closed or not: `look` changes nothing that anything follows from.
  template <typename Look>
  auto Inspect(Look&& look) {
    const MutexLock lock(&mutex_);
    return look();
  }

  // A callback that takes a turn, as long as the gate is there and open.
  template <typename Turn>
  static auto Wrap(const std::shared_ptr<Gate>& gate, Turn turn) {
    return [weak = std::weak_ptr<Gate>(gate), turn = std::move(turn)](const auto&... arguments) {
      if (const auto there = weak.lock()) {
        there->Enter([&] { turn(arguments...); });
      }
    };
  }

  // The last turn has ended when this returns, having run `last`, and there will be no other. False
  // if it was closed before.
  template <typename Last>
  bool Close(Last&& last) {
    const MutexLock lock(&mutex_);
    if (closed_) {
      return false;
    }
    closed_ = true;
    last();
    return true;
  }

 private:
  Mutex mutex_;
  bool closed_ CATCHUP_GUARDED_BY(mutex_) = false;
  const std::function<void()> after_;
};

}  // namespace catchup
