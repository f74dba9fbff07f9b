#include "host/store/letter_mark.h"

#include <fmt/core.h>

#include <string>

#include "host/store/bytes.h"
#include "host/store/letter_rows.h"

namespace catchup {
namespace {

std::string SumOf(const LettersMark& mark) {
  std::string bytes;
  PutNumber(mark.file, &bytes);
  PutNumber(mark.changes, &bytes);
  return RowSum(bytes);
}

}  // namespace

Result<std::optional<LettersMark>> ReadMark(Connection* connection) {
  CATCHUP_ASSIGN_OR_RETURN(Statement statement,
                           connection->Prepare("SELECT file, changes, sum FROM mark"));
  CATCHUP_ASSIGN_OR_RETURN(const bool row, statement.Step());
  if (!row) {
    return std::optional<LettersMark>();
  }
  LettersMark mark;
  mark.file = static_cast<std::uint64_t>(statement.Int(0));
  mark.changes = static_cast<std::uint64_t>(statement.Int(1));
  if (statement.Bytes(2) != SumOf(mark)) {
    return Status::Corrupt("a row in table mark is not what was written there");
  }
  return std::optional(mark);
}

Status CheckKnown(const FoundLetters& found, const KnownLetters& known, const std::string& group) {
  if (!known.mark) {
    return {};
  }
  const std::uint64_t letters = known.mark->letters;
  std::string how;
  if (!found.is_there) {
    how = letters > 0 ? "it is gone" : "";
  } else if (!found.mark) {
    how = letters > 0 ? "it is another file" : "";
  } else if (found.mark->file != known.mark->file) {
    how = "it is another file";
  } else if (found.mark->changes < known.mark->changes) {
    how = fmt::format(
        "it is an earlier state of itself, as from a backup: {} changes, wanted at least {}",
        found.mark->changes, known.mark->changes);
  }
  if (how.empty()) {
    return {};
  }
  const std::string at = known.checkpoint ? FormatPosition(*known.checkpoint) : "beginning";
  return Status::Invalid(fmt::format(
      "{0}, while the checkpoint, {1}, was written when the file held {2} letter{3}: events would "
      "be lost; put the file back as it was, or decide: catchup reset {4} --to {1} goes on with "
      "what there is, catchup reset {4} --to beginning reads all again; then catchup start {4}",
      how, at, letters, letters == 1 ? "" : "s", group));
}

Status WriteMark(const LettersMark& mark, Statement* write) {
  const std::string sum = SumOf(mark);
  write->Bind(1, Signed(mark.file));
  write->Bind(2, Signed(mark.changes));
  write->BindBlob(3, sum);
  return write->Run();
}

}  // namespace catchup
