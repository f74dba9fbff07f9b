#include "host/engine/letter_book.h"

#include <algorithm>
#include <limits>

#include "host/base/check.h"

namespace catchup {
namespace {

// No letter is near as long.
std::uint32_t ShortBytes(std::uint64_t bytes) {
  constexpr std::uint64_t kMost = std::numeric_limits<std::uint32_t>::max();
  return static_cast<std::uint32_t>(std::min(bytes, kMost));
}

// The id of `name`, a free one or a new one where it has none.
template <typename Ids, typename Entries>
std::uint32_t IdOf(std::string_view name, Ids* ids, Entries* entries,
                   std::vector<std::uint32_t>* free) {
  if (const auto found = ids->find(name); found != ids->end()) {
    return found->second;
  }
  std::uint32_t id = static_cast<std::uint32_t>(entries->size());
  if (free->empty()) {
    entries->emplace_back();
  } else {
    id = free->back();
    free->pop_back();
  }
  const auto added = ids->emplace(std::string(name), id).first;
  (*entries)[id].name = &added->first;
  return id;
}

}  // namespace

std::string_view LetterStateName(LetterState state) {
  switch (state) {
    case LetterState::kHealing:
      return "healing";
    case LetterState::kDead:
      return "dead";
    case LetterState::kFollower:
      break;
  }
  return "follower";
}

std::uint32_t LetterBook::StreamId(std::string_view name) {
  return IdOf(name, &stream_ids_, &streams_, &free_streams_);
}

std::uint32_t LetterBook::TypeId(std::string_view name) {
  return IdOf(name, &type_ids_, &types_, &free_types_);
}

// A type without letters and hold is forgotten.
void LetterBook::ForgetType(std::uint32_t type) {
  Type& entry = types_[type];
  if (entry.letters == 0 && !entry.held) {
    Retime(type);
    type_ids_.erase(type_ids_.find(*entry.name));
    entry = {};
    free_types_.push_back(type);
  }
}

void LetterBook::Count(const Letter& letter, int by) {
  const auto delta = static_cast<std::uint64_t>(static_cast<std::int64_t>(by));
  counts_[static_cast<std::size_t>(letter.state)] += delta;
  Type& type = types_[letter.type];
  type.letters += delta;
  if (letter.state == LetterState::kHealing) {
    type.healing += delta;
  }
  count_ += delta;
  bytes_ += delta * letter.bytes;
}

void LetterBook::SetState(Letter* letter, LetterState state) {
  Count(*letter, -1);
  letter->state = state;
  Count(*letter, 1);
}

bool LetterBook::IsFirst(const Id& id) const {
  return streams_[id.stream].letters.begin()->first == id.position;
}

LetterBook::Id LetterBook::Add(const LetterSummary& summary, std::uint32_t streak, bool written) {
  const Id id{StreamId(summary.stream), summary.position};
  auto& letters = streams_[id.stream].letters;
  const auto [at, added] = letters.try_emplace(summary.position);
  CATCHUP_CHECK(added);
  Letter& letter = at->second;
  letter.position = summary.position;
  letter.type = TypeId(summary.type);
  letter.bytes = ShortBytes(summary.bytes);
  if (streak != 0 && summary.state == LetterState::kHealing) {
    letter.streak = streak;
    types_[letter.type].in_streaks.emplace(streak, id);
  }
  letter.step = summary.step;
  letter.attempts = summary.attempts;
  letter.state = summary.state;
  letter.failure = summary.failure;
  letter.written = written;
  letter.since = summary.since;
  letter.due = summary.due;
  Count(letter, 1);
  // One that came in front of others, which a group does that went back, takes their turn.
  if (const auto next = std::next(at); at == letters.begin() && next != letters.end()) {
    Dequeue({id.stream, next->first});
    if (next->second.asked || order_ != LetterOrder::kStream) {
      Enqueue({id.stream, next->first});
    }
  }
  Enqueue(id);
  return id;
}

void LetterBook::Written(const Id& id) {
  if (Get(id) != nullptr) {
    At(id).written = true;
    Enqueue(id);
  }
}

void LetterBook::Resize(std::string_view stream, Position position, std::uint64_t bytes) {
  if (const auto id = Find(stream, position)) {
    Letter& letter = At(*id);
    Count(letter, -1);
    letter.bytes = ShortBytes(bytes);
    Count(letter, 1);
  }
}

void LetterBook::Remove(const Id& id) {
  Dequeue(id);
  if (in_call_ == id) {
    in_call_.reset();
  }
  auto& letters = streams_[id.stream].letters;
  const auto at = letters.find(id.position);
  const std::uint32_t type = at->second.type;
  types_[type].in_streaks.erase({at->second.streak, id});
  Count(at->second, -1);
  letters.erase(at);
  ForgetType(type);
  Refresh(id.stream);
}

void LetterBook::RemoveBeyond(const std::optional<Position>& position) {
  std::vector<Id> gone;
  for (std::uint32_t stream = 0; stream < streams_.size(); ++stream) {
    for (const auto& [at, letter] : streams_[stream].letters) {
      if (!position || at > *position) {
        gone.push_back({stream, at});
      }
    }
  }
  for (const Id& id : gone) {
    Remove(id);
  }
}

// The stream's first letter may have become another one.
void LetterBook::Refresh(std::uint32_t stream) {
  Stream& entry = streams_[stream];
  if (!entry.letters.empty()) {
    Enqueue({stream, entry.letters.begin()->first});
  } else if (entry.name != nullptr) {
    stream_ids_.erase(stream_ids_.find(*entry.name));
    entry = {};
    free_streams_.push_back(stream);
  }
}

// False: it is due already, and its delays have not begun.
bool LetterBook::MakeDue(const Id& id, Time now) {
  Letter& letter = At(id);
  if (letter.due <= now && letter.step == 0) {
    return false;
  }
  const bool queued = letter.queue == Letter::Queue::kDue;
  if (queued) {
    types_[letter.type].due.erase({letter.due, id});
  }
  letter.due = now;
  letter.step = 0;
  if (queued) {
    types_[letter.type].due.emplace(now, id);
    Retime(letter.type);
  }
  return true;
}

template <typename Which>
std::vector<Position> LetterBook::MakeDueWhere(Time now, Which which) {
  std::vector<Position> made;
  for (std::uint32_t stream = 0; stream < streams_.size(); ++stream) {
    for (const auto& [position, letter] : streams_[stream].letters) {
      if (letter.state == LetterState::kHealing && which(letter) &&
          MakeDue({stream, position}, now)) {
        made.push_back(position);
      }
    }
  }
  return made;
}

std::vector<Position> LetterBook::MakeAllDue(Time now) {
  return MakeDueWhere(now, [](const Letter&) { return true; });
}

std::vector<Position> LetterBook::MakeTypeDue(std::string_view type, Time now) {
  const auto found = type_ids_.find(type);
  if (found == type_ids_.end()) {
    return {};
  }
  return MakeDueWhere(now,
                      [id = found->second](const Letter& letter) { return letter.type == id; });
}

// Looks at the letters of the streak alone: a type that fails now and then ends one with every
// success, beside any number of letters.
std::vector<Position> LetterBook::MakeStreakDue(std::string_view type, std::uint32_t streak,
                                                Time now) {
  std::vector<Position> made;
  const auto found = type_ids_.find(type);
  if (streak == 0 || found == type_ids_.end()) {
    return made;
  }
  auto& in_streaks = types_[found->second].in_streaks;
  const auto first = in_streaks.lower_bound({streak, Id{}});
  auto last = first;
  for (; last != in_streaks.end() && last->first == streak; ++last) {
    const Id& id = last->second;
    Letter& letter = At(id);
    letter.streak = 0;
    if (letter.state == LetterState::kHealing && MakeDue(id, now)) {
      made.push_back(id.position);
    }
  }
  in_streaks.erase(first, last);
  return made;
}

bool LetterBook::Ask(const Id& id, Time now) {
  Letter& letter = At(id);
  const bool callable =
      letter.written &&
      (IsFirst(id) || (order_ != LetterOrder::kStream && letter.state != LetterState::kFollower));
  if (!callable || letter.in_call) {
    return false;
  }
  if (letter.state == LetterState::kHealing) {
    MakeDue(id, now);
  }
  Dequeue(id);
  letter.asked = true;
  Enqueue(id);
  return true;
}

void LetterBook::Hold(std::string_view type, std::optional<Time> next) {
  const std::uint32_t id = TypeId(type);
  types_[id].held = true;
  types_[id].held_next = next;
  Retime(id);
}

void LetterBook::EndHold(std::string_view type) {
  if (const auto found = type_ids_.find(type); found != type_ids_.end()) {
    const std::uint32_t id = found->second;
    types_[id].held = false;
    types_[id].held_next.reset();
    Retime(id);
    ForgetType(id);
  }
}

void LetterBook::EndAllHolds() {
  std::vector<std::string> held;
  for (const Type& type : types_) {
    if (type.held) {
      held.push_back(*type.name);
    }
  }
  for (const std::string& type : held) {
    EndHold(type);
  }
}

const LetterBook::Letter* LetterBook::Get(const Id& id) const {
  if (id.stream >= streams_.size()) {
    return nullptr;
  }
  const auto& letters = streams_[id.stream].letters;
  const auto found = letters.find(id.position);
  return found == letters.end() ? nullptr : &found->second;
}

std::optional<LetterBook::Id> LetterBook::Find(std::string_view stream, Position position) const {
  const auto found = stream_ids_.find(stream);
  if (found == stream_ids_.end() || Get({found->second, position}) == nullptr) {
    return std::nullopt;
  }
  return Id{found->second, position};
}

std::optional<LetterBook::Id> LetterBook::First(std::string_view stream) const {
  const auto found = stream_ids_.find(stream);
  if (found == stream_ids_.end()) {
    return std::nullopt;
  }
  return Id{found->second, streams_[found->second].letters.begin()->first};
}

bool LetterBook::Has(std::string_view stream, Position position) const {
  return Find(stream, position).has_value();
}

bool LetterBook::Holds(std::string_view stream, Position position) const {
  const auto first = First(stream);
  return first && first->position <= position;
}

bool LetterBook::Heals(std::string_view type) const {
  const auto found = type_ids_.find(type);
  return found != type_ids_.end() && types_[found->second].healing > 0;
}

std::string_view LetterBook::CheckInvariants() const {
  std::uint64_t counts[3] = {};
  std::uint64_t bytes = 0;
  std::size_t asked = 0;
  std::size_t handing = 0;
  std::size_t due = 0;
  std::size_t in_streaks = 0;
  for (std::uint32_t stream = 0; stream < streams_.size(); ++stream) {
    bool first = true;
    for (const auto& [position, letter] : streams_[stream].letters) {
      const Id id{stream, position};
      ++counts[static_cast<std::size_t>(letter.state)];
      bytes += letter.bytes;
      asked += asked_.count(id);
      handing += letter.queue == Letter::Queue::kHanding ? 1 : 0;
      due += types_[letter.type].due.count({letter.due, id});
      in_streaks += types_[letter.type].in_streaks.count({letter.streak, id});
      const bool callable =
          letter.written && !letter.in_call && letter.state != LetterState::kDead &&
          (first || (order_ != LetterOrder::kStream && letter.state == LetterState::kHealing));
      if (callable && letter.queue == Letter::Queue::kNone) {
        return "a letter that can be called is in no queue";
      }
      if (letter.in_call != (in_call_ == id)) {
        return "a letter is called of which the book does not know, or the other way round";
      }
      first = false;
    }
  }
  std::size_t listed = 0;
  std::size_t listed_in_streaks = 0;
  for (const Type& type : types_) {
    listed += type.due.size();
    listed_in_streaks += type.in_streaks.size();
  }
  if (asked != asked_.size() || handing != handing_.size() || due != listed ||
      in_streaks != listed_in_streaks) {
    return "a queue holds a letter that is not there";
  }
  if (bytes != bytes_ || counts[0] + counts[1] + counts[2] != count_ ||
      !std::equal(std::begin(counts), std::end(counts), std::begin(counts_))) {
    return "the counts of letters are wrong";
  }
  return {};
}

}  // namespace catchup
