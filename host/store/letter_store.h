#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "host/base/position.h"
#include "host/base/status.h"
#include "host/store/letter.h"
#include "host/store/letter_mark.h"
#include "host/store/letter_reader.h"
#include "host/store/letter_steps.h"

namespace catchup {

// The dead letters of one group, for the one host that runs it: GROUPS/NAME/letters.db, an SQLite
// file (host/store/letter_file.h), which is made with the first letter or hold.
//
// Each function that changes something is one transaction, unless several share one (Together), and
// returns once it is on the disk: all of it or nothing. So a letter is durable before the
// checkpoint passes it, and a kill at any moment leaves the state before a call or the one after
// it.
//
// Fencing: every change names the token of the runner that it came from, or for an operator's
// command token(), and the statement that makes the change compares it with the one in the file.
//
// Failures of every function that changes:
//   kDenied                   fenced: the token is not the present one; nothing changed
//   kExhausted, kUnavailable  no room, quota, descriptors, memory or right: may be tried again.
//                             Nothing changed, unless only the word of it was lost: then a repeated
//                             Insert does nothing more, a repeated Remove says kNotFound
//   any other                 final, as of a failed sync: what is on the disk is the state before
//                             or after the call, and every later change fails; reading goes on
//
// Blocking: every change waits for the disk. One thread at a time.
class LetterStore {
 public:
  struct Options {
    LetterBounds bounds;
    // Names of sinks as configured, "jsonl:FILE" or "stream:NAME": the steps of letters are stored
    // for them. None: no step is.
    std::vector<std::string> sinks;
    // Of the steps that some sink does not have yet; the oldest go where there would be more.
    std::uint64_t max_step_bytes = 4ull << 30;
    // What the group's checkpoint knows of the file: mark() as it was then.
    KnownLetters known = {};
  };

  // Opens the letters below `folder`, the existing one of `group`.
  //
  // kCorrupt       the file is damaged; the text names it and the way out
  // kInvalid       it is not the one that `known` speaks of: gone with letters in it, another file,
  //                or an earlier state of itself, as from a backup; likewise
  // kIncompatible  another format, something else, or the file of another group; likewise
  // kInUse         another process has it open
  // kExhausted, kUnavailable  no room, descriptors, memory, or right: may pass, try again
  static Result<std::unique_ptr<LetterStore>> Open(const std::filesystem::path& folder,
                                                   const std::string& group,
                                                   const Options& options);

  LetterStore(const LetterStore&) = delete;
  LetterStore& operator=(const LetterStore&) = delete;
  ~LetterStore();

  // What Open() found worth a warning: a file that is gone, and held no letter. Else empty.
  const std::string& warning() const;

  // For the checkpoint that is written next. None: there is no file.
  std::optional<LettersMark> mark() const;

  const LetterTotals& totals() const;
  const LetterBounds& bounds() const;
  std::uint64_t token() const;

  // For everything that only reads; without a file it finds nothing. Lives as long as the store.
  LetterReader& reader();

  // The token of the runner that is about to be spawned, never lower than the one before: from now
  // on a change under another one is refused. kDenied where the file has seen a higher one. Without
  // a file this costs nothing.
  Status SetToken(std::uint64_t token);

  // Whether the file is still where the next start will look for it, as each change finds out, too.
  // Final like a failed change.
  Status CheckStillThere();

  // Whether all of `letters` fit into the bounds. What does not fit waits; nothing is dropped.
  bool HasRoomFor(std::span<const Letter> letters) const;

  // Writes letters, all or none. One whose position holds a letter already stays as it is: a
  // redelivery parks once. kExhausted also where they do not fit. Cuts their texts to the bounds of
  // letter.h and sets `head.bytes`.
  Status Insert(std::uint64_t token, std::span<Letter> letters);

  // What `body` does by the functions that change something is one transaction, and nothing of it
  // is done where one of them fails, but by kNotFound. Before there is a file each is one by
  // itself.
  Status Together(const std::function<Status()>& body);

  // Replaces head and cause of a letter, which `head.position` names; its event stays. The sinks
  // are told of `steps`, in this order. kNotFound: there is no such letter. Bounds do not stop
  // this.
  struct Step {
    LetterStepKind kind;
    std::string note;
  };
  struct Change {
    LetterHead head;
    LetterCause cause;
    std::vector<Step> steps;
  };
  Status Update(std::uint64_t token, const Change& change);

  // These letters are due at `due_ticks`, and their delays begin anew; all of them or none. One
  // that is not there, or does not heal any more, stays as it is.
  Status MakeDue(std::uint64_t token, std::span<const Position> letters, std::int64_t due_ticks);

  // Removes a letter for good: it was handled, in a call that `retried_by` had asked for, if
  // anybody had. kNotFound: there is no such letter, as after a kill between this and what it led
  // to.
  Status RemoveHealed(std::uint64_t token, Position position,
                      const std::optional<std::string>& retried_by = {});

  // Removes a letter for good because an operator, `by`, says so and why. What is kept of it is
  // read by LetterReader::ScanDrops. kNotFound as above.
  Status Drop(std::uint64_t token, Position position, const std::string& reason,
              const std::string& by);

  // After a reset to `position` (none: the beginning): removes the letters beyond it, whose events
  // come again. Sinks are not told: nothing became of these letters.
  Status RemoveBeyond(std::uint64_t token, std::optional<Position> position);

  // An event that is to become a letter: until it is one of class by-hand, or EndPark.
  Status SetPark(std::uint64_t token, const LetterPark& park);
  Status EndPark(Position position);

  Status SetHold(std::uint64_t token, const LetterHold& hold);   // Replaces one of the same type.
  Status EndHold(std::uint64_t token, const std::string& type);  // ok where there is none.

  // For who feeds a sink. What the sink has confirmed up to is stored with SetPlace, after which
  // steps that all sinks have are removed. Without a file there are none.
  Result<LetterSteps::Part> ReadSteps(const std::string& sink);
  Status SetPlace(const std::string& sink, std::uint64_t number);

 private:
  struct State;
  explicit LetterStore(std::unique_ptr<State> state);

  std::unique_ptr<State> state_;
};

}  // namespace catchup
