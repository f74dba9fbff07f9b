#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "host/base/position.h"
#include "host/base/witness.h"

namespace catchup {

using KnownWitness = std::shared_ptr<const Witness>;

// What is wrong with a log that is not the one that a group's checkpoint came from.
enum class LineageFault : std::uint8_t {
  kNone,
  kRegressed,  // It ends before the place that the group has got to.
  kDiverged,   // It has something else where such an event lay.
};

std::string_view LineageFaultName(LineageFault fault);

// The events by which a group knows its log: those that its store has kept, and the newest
// one that the checkpoint has passed since.
class Witnesses {
 public:
  // As the store has them, newest first.
  void Load(const std::vector<Witness>& stored);

  // One that a durable checkpoint has passed. Of those that came so only the last one is kept.
  void Add(Witness handled);

  // The group goes on behind `place`, null for the beginning: it may read another log from there,
  // so nothing behind it is a witness any more.
  void DropBeyond(const std::optional<Position>& place);

  // Those at or before `place`, newest first.
  std::vector<KnownWitness> UpTo(const std::optional<Position>& place) const;

 private:
  std::vector<KnownWitness> known_;  // Newest first.
  bool added_ = false;               // The first of them is no stored one.
};

// Whether a log is the one that a group has read, asked of its witnesses one after the other, from
// the newest on. The first that the log still has, or contradicts, decides: what was passed before
// it lies before it. Where the log is known to be another one the older ones are asked all the
// same, for the newest that both logs share.
//
// Asked for is one read at a time; what it answers has to be told before the next.
class Lineage {
 public:
  enum class Question : std::uint8_t {
    kNone,    // It is decided.
    kPlace,   // The first record at or after the witness's place.
    kStream,  // What the witness's stream has at its revision.
  };

  // Begins with these, newest first. `foreign`: the log is another one, as is known already.
  void Begin(std::vector<KnownWitness> witnesses, bool foreign);

  Question question() const { return question_; }
  // Whom the question is about; only where there is one.
  const KnownWitness& witness() const { return witnesses_[next_]; }

  // The answer. One that does not belong to the question changes nothing.
  void OnRecord(const std::optional<FirstRecord>& first);
  void OnRevision(const StreamRevision& found);
  // The server says that no record can lie at the witness's place; `text` is what it says.
  void OnInvalidPlace(const std::string& text);

  // All that it began with.
  const std::vector<KnownWitness>& witnesses() const { return witnesses_; }

  // --- Once nothing is asked any more. ---

  // The newest that the log has; null where none is known to be there.
  const KnownWitness& proved() const { return proved_; }
  // What the log has instead of a witness, and where; empty: it contradicts none.
  const std::string& refuted() const { return refuted_; }
  // How many the log knows nothing of, neither the event nor another one in its place; they are
  // newer than whichever decided.
  std::size_t silent() const { return silent_; }

 private:
  void Take(Testimony testimony, const std::string& instead);
  void Refute(const std::string& instead);
  void AskNext();

  std::vector<KnownWitness> witnesses_;
  std::size_t next_ = 0;
  Question question_ = Question::kNone;
  bool foreign_ = false;
  KnownWitness proved_;
  std::string refuted_;
  std::size_t silent_ = 0;
};

}  // namespace catchup
