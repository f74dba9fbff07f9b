#include <algorithm>
#include <tuple>
#include <utility>

#include "host/engine/letter_book.h"

// Which letter of the book is called next, and what its call does to its place in the queues: each
// letter that can be called stands in one of three, of what was asked for, of followers that are
// handed on, and of its type's by their due times.

namespace catchup {
namespace {

bool Allows(const LetterBook::May& may, const LetterBook::Id& id) { return !may || may(id); }

template <typename Ids>
std::optional<LetterBook::Id> FirstAllowed(const Ids& ids, const LetterBook::May& may) {
  const auto found =
      std::find_if(ids.begin(), ids.end(), [&](const auto& id) { return Allows(may, id); });
  return found == ids.end() ? std::nullopt : std::optional(*found);
}

}  // namespace

// Puts it where it belongs, if it can be called and stands nowhere yet.
void LetterBook::Enqueue(const Id& id) {
  Letter& letter = At(id);
  if (letter.queue != Letter::Queue::kNone || !letter.written || letter.in_call) {
    return;
  }
  const bool first = IsFirst(id);
  if (letter.asked && (first || order_ != LetterOrder::kStream)) {
    letter.queue = Letter::Queue::kAsked;
    asked_.insert(id);
  } else if (letter.state == LetterState::kFollower && first) {
    letter.queue = Letter::Queue::kHanding;
    handing_.push_back(id);
  } else if (letter.state == LetterState::kHealing && (first || order_ != LetterOrder::kStream)) {
    letter.queue = Letter::Queue::kDue;
    types_[letter.type].due.emplace(letter.due, id);
    Retime(letter.type);
  }
}

void LetterBook::Dequeue(const Id& id) {
  Letter& letter = At(id);
  switch (std::exchange(letter.queue, Letter::Queue::kNone)) {
    case Letter::Queue::kNone:
      break;
    case Letter::Queue::kAsked:
      asked_.erase(id);
      break;
    case Letter::Queue::kHanding:
      handing_.erase(std::find(handing_.begin(), handing_.end(), id));
      break;
    case Letter::Queue::kDue:
      types_[letter.type].due.erase({letter.due, id});
      Retime(letter.type);
      break;
  }
}

void LetterBook::Retime(std::uint32_t type) {
  Type& entry = types_[type];
  std::optional<Time> at;
  if (!entry.due.empty()) {
    at = entry.held ? entry.held_next : std::optional(entry.due.begin()->first);
  }
  if (at == entry.listed_at) {
    return;
  }
  if (entry.listed_at) {
    by_time_.erase({*entry.listed_at, type});
  }
  if (at) {
    by_time_.emplace(*at, type);
  }
  entry.listed_at = at;
}

std::optional<LetterBook::Id> LetterBook::Next(Time now, Time free_at, const May& may) const {
  if (in_call_) {
    return std::nullopt;
  }
  if (const auto asked = FirstAllowed(asked_, may)) {
    return asked;
  }
  if (now < free_at) {
    return std::nullopt;
  }
  if (const auto handed = FirstAllowed(handing_, may)) {
    return handed;
  }
  for (const auto& [at, type] : by_time_) {
    if (now < at) {
      break;
    }
    for (const auto& [due, id] : types_[type].due) {
      if (now < due && !types_[type].held) {
        break;
      }
      if (Allows(may, id)) {
        return id;
      }
    }
  }
  return std::nullopt;
}

std::optional<LetterBook::Time> LetterBook::NextAt(Time free_at) const {
  if (in_call_) {
    return std::nullopt;
  }
  if (!asked_.empty()) {
    return Time::min();
  }
  if (!handing_.empty()) {
    return free_at;
  }
  return by_time_.empty() ? std::nullopt
                          : std::optional(std::max(by_time_.begin()->first, free_at));
}

std::vector<Position> LetterBook::Upcoming(Time now, std::size_t most,
                                           std::uint64_t most_bytes) const {
  std::vector<Position> upcoming;
  std::uint64_t bytes = 0;
  const auto add = [&](const Id& id) {
    bytes += Get(id)->bytes;
    if (upcoming.size() >= most || bytes > most_bytes) {
      return false;
    }
    upcoming.push_back(id.position);
    return true;
  };
  if (!std::all_of(asked_.begin(), asked_.end(), add) ||
      !std::all_of(handing_.begin(), handing_.end(), add)) {
    return upcoming;
  }
  for (const auto& [at, type] : by_time_) {
    if (now < at) {
      break;
    }
    for (const auto& [due, id] : types_[type].due) {
      const bool held = types_[type].held;
      if ((now < due && !held) || !add(id)) {
        break;
      }
      if (held) {
        break;  // One at a time.
      }
    }
  }
  return upcoming;
}

std::optional<LetterBook::Time> LetterBook::DueAfter(Time now) const {
  std::optional<Time> next;
  const auto consider = [&](Time at) { next = at > now ? std::min(next.value_or(at), at) : next; };
  for (const auto& [at, type] : by_time_) {
    consider(at);
    if (at > now) {
      break;
    }
    const auto& due = types_[type].due;
    const auto later = due.lower_bound({now + Time(1), Id{}});
    if (later != due.end() && !types_[type].held) {
      consider(later->first);
    }
  }
  return next;
}

std::optional<LetterBook::Id> LetterBook::ToProbeWith(const May& may) const {
  if (const auto asked = FirstAllowed(asked_, may)) {
    return asked;
  }
  std::optional<std::tuple<bool, std::uint32_t, Time, Id>> best;
  for (const Type& type : types_) {
    if (type.held && !type.held_next) {
      continue;  // By hand: nobody wants it called.
    }
    for (const auto& [due, id] : type.due) {
      const std::tuple<bool, std::uint32_t, Time, Id> one{type.held, Get(id)->step, due, id};
      if ((!best || one < *best) && Allows(may, id)) {
        best = one;
      }
    }
  }
  return best ? std::optional(std::get<Id>(*best)) : FirstAllowed(handing_, may);
}

void LetterBook::BeginCall(const Id& id) {
  Dequeue(id);
  At(id).in_call = true;
  in_call_ = id;
}

void LetterBook::CutCall(const Id& id) {
  in_call_.reset();
  At(id).in_call = false;
  Enqueue(id);
}

void LetterBook::EndCall(const Id& id, LetterState state, FailureClass failure, Time since,
                         Time due, std::uint32_t step) {
  in_call_.reset();
  Letter& letter = At(id);
  letter.in_call = false;
  letter.asked = false;
  SetState(&letter, state);
  letter.failure = failure;
  letter.since = since;
  letter.due = due;
  letter.step = step;
  ++letter.attempts;
  Enqueue(id);
}

}  // namespace catchup
