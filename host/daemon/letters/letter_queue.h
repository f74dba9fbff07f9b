#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "host/base/mutex.h"
#include "host/daemon/letters/letter_listener.h"
#include "host/daemon/threads/gate.h"
#include "host/daemon/threads/reactor.h"
#include "host/daemon/threads/serial_queue.h"
#include "host/engine/command.h"
#include "host/store/letter_store.h"

namespace catchup {

// A group's store of letters, of all who use it: whichever outlives the group.
struct SharedLetters {
  std::filesystem::path folder;
  std::string group;
  Mutex mutex;  // Held while the store is used, and for no longer.
  std::unique_ptr<LetterStore> store CATCHUP_GUARDED_BY(mutex);

  // Once it is open.
  template <typename Body>
  auto Use(const Body& body) {
    const MutexLock lock(&mutex);
    return body(store.get());
  }
};

// What is to be written of a group's letters, carried out in the order given, on a thread of the
// pool. What waits together when a write begins shares a transaction.
//
// What the machine lacks, room above all, is tried again every second, and what was given behind it
// waits. But for what concerns one letter that lies there already (`alone`): it is as good before
// the others as behind them, and it may be what makes room.
//
// All functions: inside a turn.
class LetterQueue {
 public:
  struct Services {
    std::shared_ptr<SharedLetters> letters;
    std::shared_ptr<SerialQueue> queue;
    std::shared_ptr<Gate> gate;
    Reactor* reactor = nullptr;
    std::function<void()> written;  // Something is on the disk that was not.
  };

  // Something to write: a letter, or a step.
  struct Job {
    std::optional<Letter> letter;
    Sequence sequence = 0;  // Of the letter's event.
    std::function<Status(LetterStore*)> step;
    std::function<void()> done;  // None: nobody waits for it.
    // It is to be written whatever is thought of what the runners have said: an operator wants it,
    // or the host knows by itself.
    bool by_hand = true;
    bool alone = false;  // See above.
    // The queue's own.
    std::uint64_t number = 0;
    bool lacks = false;  // It was tried, and something was missing.
    bool rests = false;  // Not to be tried now.
  };

  // `listener` must outlive it.
  LetterQueue(Services services, LetterListener* listener);

  void Add(Job job);

  // Reads, and waits for nothing that is being written; then calls `done`.
  using ReadStep = std::function<Status(LetterReader*)>;
  void Read(ReadStep read, std::function<void()> done);

  // Calls `done`, once, when all is written that can be by now; what waits for better times is not
  // waited for. One at a time.
  void Drain(std::function<void()> done);

  // What waits for better times is not tried again. Returns how many letters are not written then.
  // What is with the pool may yet be written; that does no harm.
  std::uint64_t GiveUp();

  // Of the store, as it was when the last job was done.
  void SetMark(const std::optional<LettersMark>& mark) { mark_ = mark; }
  const std::optional<LettersMark>& mark() const { return mark_; }

 private:
  using Jobs = std::deque<Job>;

  Jobs::iterator Next();
  void Pump();
  std::vector<Job> Take();
  static Status Carry(LetterStore* store, std::vector<Job>* batch);
  void OnRefused();
  void OnCarried(std::vector<Job> batch, const Status& status,
                 const std::optional<LettersMark>& mark);
  void Rest(std::vector<Job> batch, const Status& why);
  void TryAgain();
  void TryToRead(const ReadStep& read, const std::function<void()>& done, bool again);
  bool MayPass(const Status& why);
  void TellWait(const Status& why, bool writes);
  void EndWait();
  bool Lacks() const;

  const Services at_;
  LetterListener& listener_;
  Jobs jobs_;  // Not begun, by their numbers.
  std::uint64_t number_ = 0;
  bool busy_ = false;   // Some are with the pool, or it is to take some.
  bool timer_ = false;  // Runs until the next try of those that rest.
  std::size_t reads_resting_ = 0;
  bool waits_ = false;  // It was said what for.
  bool failed_ = false;
  std::function<void()> drained_;
  std::optional<LettersMark> mark_;
};

}  // namespace catchup
