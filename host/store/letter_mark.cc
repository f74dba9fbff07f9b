#include "host/store/letter_mark.h"

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

Status WriteMark(const LettersMark& mark, Statement* write) {
  const std::string sum = SumOf(mark);
  write->Bind(1, Signed(mark.file));
  write->Bind(2, Signed(mark.changes));
  write->BindBlob(3, sum);
  return write->Run();
}

}  // namespace catchup
