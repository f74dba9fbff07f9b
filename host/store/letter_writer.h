#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "host/base/sqlite.h"
#include "host/base/status.h"
#include "host/store/checkpoint_record.h"
#include "host/store/letter.h"

namespace catchup {

// The statements that change letters and holds, as parts of a transaction that a LetterStore begins
// and ends. `fence` is the token of whoever asks, and is compared in the statement itself;
// `counted` follows what was changed and counts only once the transaction is on the disk.
//
// Failures: kDenied (fenced) and kNotFound (no such letter) of our own, all others SQLite's. After
// any the transaction must be rolled back.
class LetterWriter {
 public:
  // `connection` must outlive this.
  LetterWriter(Connection* connection, std::string group)
      : connection_(connection), group_(std::move(group)) {}

  Result<Letter> Require(Position position);

  // False: a letter with this position is there already, and stays as it is.
  Result<bool> Insert(std::uint64_t fence, const Letter& letter, LetterTotals* counted);
  Status UpdateHead(std::uint64_t fence, const LetterHead& before, const LetterHead& head,
                    LetterTotals* counted);
  // Makes a letter due that heals; another, or none, stays as it is.
  Status MakeDue(std::uint64_t fence, Position position, std::int64_t due_ticks);
  // Has no fence of its own: it goes together with UpdateHead.
  Status UpdateCause(Position position, const LetterCause& cause);
  Status Delete(std::uint64_t fence, const LetterHead& head, LetterTotals* counted);
  // Deletes those beyond `position`; none: all.
  Status DeleteBeyond(std::uint64_t fence, std::optional<Position> position, LetterTotals* counted);

  Status SetHold(std::uint64_t fence, const LetterHold& hold);
  Status EndHold(std::uint64_t fence, const std::string& type);
  Status RaiseToken(std::uint64_t token);
  Status SetMark(const LettersMark& mark);

 private:
  Result<Statement*> Use(const std::string& sql);
  Result<std::int64_t> IdOf(Position position);
  Status CheckFence(std::uint64_t fence);
  Status NoLetter(Position position) const;

  Connection* connection_;
  std::string group_;
  std::map<std::string, Statement> prepared_;  // By their SQL.
  std::optional<Statement> read_;              // Of ReadLetter.
};

}  // namespace catchup
