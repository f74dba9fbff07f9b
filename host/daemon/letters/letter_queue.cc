#include "host/daemon/letters/letter_queue.h"

#include <algorithm>
#include <chrono>
#include <iterator>
#include <utility>

#include "host/base/test_seams.h"

namespace catchup {
namespace {

// Before another try of what the machine does not have for now.
constexpr std::chrono::seconds kRetryPause{1};

// In one transaction: enough that a row of letters costs few syncs, few enough that none waits long
// for the others.
constexpr std::size_t kMostTogether = 256;
constexpr std::uint64_t kMostBytesTogether = 8u << 20;

}  // namespace

LetterQueue::LetterQueue(Services services, LetterListener* listener)
    : at_(std::move(services)), listener_(*listener) {}

void LetterQueue::Add(Job job) {
  job.number = ++number_;
  jobs_.push_back(std::move(job));
  Pump();
}

// The first that neither rests nor stands behind one that does; the end where there is none.
LetterQueue::Jobs::iterator LetterQueue::Next() {
  bool held = false;
  return std::find_if(jobs_.begin(), jobs_.end(), [&held](const Job& job) {
    held = held || (job.rests && !job.alone);
    return !job.rests && (job.alone || !held);
  });
}

bool LetterQueue::Lacks() const {
  return std::any_of(jobs_.begin(), jobs_.end(), [](const Job& job) { return job.lacks; });
}

// Has what is to be written next taken, once a thread is free; or says that there is nothing.
void LetterQueue::Pump() {
  if (busy_) {
    return;
  }
  if (failed_ || Next() == jobs_.end()) {
    if (const auto drained = std::exchange(drained_, nullptr)) {
      drained();
    }
    return;
  }
  busy_ = true;
  at_.queue->Post([this, gate = at_.gate, letters = at_.letters] {
    std::vector<Job> batch;
    gate->Enter([&] { batch = Take(); });
    if (!batch.empty()) {
      std::optional<LettersMark> mark;
      const Status status = letters->Use([&](LetterStore* store) {
        Status carried = Carry(store, &batch);
        mark = store->mark();
        return carried;
      });
      gate->Enter([&] { OnCarried(std::move(batch), status, mark); });
    }
  });
}

// What is to share a transaction; nothing where it is not to begin, which is settled then.
std::vector<LetterQueue::Job> LetterQueue::Take() {
  std::vector<Job> batch;
  auto next = Next();
  if (next == jobs_.end()) {
    busy_ = false;
    Pump();
    return batch;
  }
  if (!next->by_hand && !listener_.MayWriteLetters()) {
    OnRefused();
    return batch;
  }
  const bool by_hand = next->by_hand;
  const bool held =
      std::any_of(jobs_.begin(), next, [](const Job& job) { return job.rests && !job.alone; });
  std::uint64_t bytes = 0;
  bool more = true;
  while (more) {
    more = !next->lacks;  // Where there was no room for several there may be some for one.
    bytes += next->letter ? LetterBytes(*next->letter) : 0;
    batch.push_back(std::move(*next));
    next = jobs_.erase(next);
    more = more && next != jobs_.end() && !next->lacks && next->by_hand == by_hand &&
           (next->alone || !held) && batch.size() < kMostTogether && bytes < kMostBytesTogether;
  }
  return batch;
}

// What runners have said is not believed any more, so nothing that came of it is written.
void LetterQueue::OnRefused() {
  busy_ = false;
  waits_ = false;
  std::erase_if(jobs_, [](const Job& job) { return !job.by_hand; });
  listener_.OnLettersNotBegun();
  Pump();
}

Status LetterQueue::Carry(LetterStore* store, std::vector<Job>* batch) {
  const auto carry = [store](Job* job) -> Status {
    if (job->step) {
      return job->step(store);
    }
    job->letter->cause.token = store->token();
    return store->Insert(store->token(), {&*job->letter, 1});
  };
  if (batch->size() == 1) {
    return carry(&batch->front());
  }
  return store->Together([&]() -> Status {
    for (Job& job : *batch) {
      CATCHUP_RETURN_IF_ERROR(carry(&job));
    }
    return {};
  });
}

void LetterQueue::OnCarried(std::vector<Job> batch, const Status& status,
                            const std::optional<LettersMark>& mark) {
  busy_ = false;
  if (!status.ok()) {
    Rest(std::move(batch), status);
    return;
  }
  mark_ = mark;
  at_.written();
  TryAgain();  // It may have made room.
  // Where one that had waited found room, the next one may find none: it tells.
  const bool found_room = std::any_of(batch.begin(), batch.end(),
                                      [](const Job& job) { return !job.lacks && !job.alone; });
  if (jobs_.empty() || found_room) {
    EndWait();
  }
  for (const Job& job : batch) {
    if (job.letter) {
      const LetterHead& head = job.letter->head;
      listener_.OnLetterSized(head.stream, head.position, head.bytes);
      listener_.OnLetterDurable(job.sequence);
    }
    if (job.done) {
      job.done();
    }
  }
  Pump();
}

// Until what is missing is there; what cannot pass is the end.
void LetterQueue::Rest(std::vector<Job> batch, const Status& why) {
  if (!MayPass(why)) {
    Pump();
    return;
  }
  const auto at = std::find_if(jobs_.begin(), jobs_.end(), [&batch](const Job& job) {
    return job.number > batch.front().number;
  });
  // One reason is shown at a time.
  const bool first = std::none_of(jobs_.begin(), at, [](const Job& job) { return job.lacks; });
  for (Job& job : batch) {
    job.rests = job.lacks = true;
  }
  jobs_.insert(at, std::move_iterator(batch.begin()), std::move_iterator(batch.end()));
  if (first) {
    TellWait(why, true);
  }
  if (!std::exchange(timer_, true)) {
    at_.reactor->After(FixedWait(kRetryPause), Gate::Wrap(at_.gate, [this] {
                         timer_ = false;
                         TryAgain();
                         Pump();
                       }));
  }
  Pump();
}

void LetterQueue::TryAgain() {
  for (Job& job : jobs_) {
    job.rests = false;
  }
}

void LetterQueue::Read(ReadStep read, std::function<void()> done) {
  TryToRead(std::move(read), std::move(done), false);
}

void LetterQueue::TryToRead(const ReadStep& read, const std::function<void()>& done, bool again) {
  at_.queue->Post([this, gate = at_.gate, letters = at_.letters, read, done, again] {
    const Status status = letters->Use([&](LetterStore* store) { return read(&store->reader()); });
    gate->Enter([&] {
      reads_resting_ -= again ? 1 : 0;
      if (status.ok()) {
        if (!busy_ && jobs_.empty()) {
          EndWait();  // Else by what is to be written.
        }
        done();
        return;
      }
      if (!MayPass(status)) {
        return;
      }
      ++reads_resting_;
      if (!waits_) {
        TellWait(status, false);
      }
      at_.reactor->After(FixedWait(kRetryPause),
                         Gate::Wrap(at_.gate, [this, read, done] { TryToRead(read, done, true); }));
    });
  });
}

bool LetterQueue::MayPass(const Status& why) {
  if (!why.may_pass()) {
    failed_ = true;
    listener_.OnLettersFailed(why.message());
  }
  return why.may_pass();
}

void LetterQueue::TellWait(const Status& why, bool writes) {
  waits_ = true;
  listener_.OnLettersWait("dead letters neither read nor written: " + why.message(), writes);
}

void LetterQueue::EndWait() {
  if (waits_ && !Lacks() && reads_resting_ == 0) {
    waits_ = false;
    listener_.OnLettersWaitEnds();
  }
}

void LetterQueue::Drain(std::function<void()> done) {
  drained_ = std::move(done);
  Pump();
}

std::uint64_t LetterQueue::GiveUp() {
  if (!Lacks()) {
    return 0;
  }
  const auto left = std::count_if(jobs_.begin(), jobs_.end(),
                                  [](const Job& job) { return job.letter.has_value(); });
  jobs_.clear();
  return static_cast<std::uint64_t>(left);
}

}  // namespace catchup
