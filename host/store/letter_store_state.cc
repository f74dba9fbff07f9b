#include "host/store/letter_store_state.h"

#include <fmt/core.h>

#include <algorithm>

#include "host/base/random.h"
#include "host/base/test_seams.h"
#include "host/base/time_text.h"
#include "host/store/letter_decisions.h"
#include "host/store/letter_file.h"
#include "host/store/letter_mark.h"
#include "host/store/letter_renewal.h"
#include "host/store/letter_rows.h"

namespace catchup {
namespace {

bool MayPass(const Status& status) {
  return status.code() == Status::Code::kExhausted || status.code() == Status::Code::kUnavailable;
}

// The verdict of a change on what was asked for, not a failure of the file.
bool IsVerdict(const Status& status, const Connection& connection) {
  return status.code() == Status::Code::kDenied || status.code() == Status::Code::kNotFound ||
         (status.code() == Status::Code::kExhausted &&
          connection.fault() != Connection::Fault::kShortage);
}

}  // namespace

LetterStore::State::~State() {
  const bool had_file = connection.has_value();
  reader = LetterReader(nullptr, folder);
  writer.reset();
  steps.reset();
  connection.reset();
  if (had_file && dead.ok()) {
    letter_file::MarkClean(folder);
  }
}

Status LetterStore::State::Load(std::optional<Connection> opened) {
  reader = LetterReader(nullptr, folder);
  writer.reset();
  steps.reset();
  connection = std::move(opened);
  reader = LetterReader(connection ? &*connection : nullptr, folder);
  if (!connection) {
    return {};
  }
  writer.emplace(&*connection, group);
  CATCHUP_ASSIGN_OR_RETURN(totals, reader.Count());
  Status taken = connection->Execute("BEGIN IMMEDIATE");
  if (taken.ok()) {
    taken = TakeUp();
  }
  if (taken.ok()) {
    taken = connection->Execute("COMMIT");
  }
  return taken.ok() ? taken : letter_file::AddWayOut(Told(taken), folder);
}

// Part of a transaction, which writes nothing while the sinks are those of the last run.
Status LetterStore::State::TakeUp() {
  CATCHUP_ASSIGN_OR_RETURN(token, ReadToken(&*connection));
  CATCHUP_RETURN_IF_ERROR(connection->Execute(kDecisionTables));
  CATCHUP_RETURN_IF_ERROR(TakeUpMark());
  auto over = LetterSteps::Over(&*connection, options.sinks, options.max_step_bytes);
  if (!over.ok()) {
    return over.status();
  }
  steps = *std::move(over);
  return {};
}

// A file that takes the place of one that is gone goes on from what is known of that.
Status LetterStore::State::TakeUpMark() {
  CATCHUP_RETURN_IF_ERROR(connection->Execute(kMarkTable));
  CATCHUP_ASSIGN_OR_RETURN(const auto found, ReadMark(&*connection));
  CATCHUP_RETURN_IF_ERROR(CheckKnown({true, found}, options.known, group));
  mark = found.value_or(options.known.mark.value_or(LettersMark{RandomNumber(), 0, 0}));
  return found ? Status() : writer->SetMark(mark);
}

Status LetterStore::State::MakeFile() {
  const std::uint64_t present = token;
  // One may be there: of an earlier try that failed behind the making of it, or put back.
  const auto exists = letter_file::Exists(folder);
  if (!exists.ok()) {
    return letter_file::AddWayOut(exists.status(), folder);
  }
  if (!*exists) {
    CATCHUP_RETURN_IF_ERROR(
        letter_file::AddWayOut(letter_file::Make(folder, group, token), folder));
  }
  CATCHUP_ASSIGN_OR_RETURN(auto opened, letter_file::OpenToWrite(folder, group));
  Status loaded = Load(std::move(opened));
  if (loaded.ok() && token != present) {
    loaded = writer->RaiseToken(present);
    if (!loaded.ok() && !IsVerdict(loaded, *connection)) {
      loaded = letter_file::Explain(*connection, loaded, folder);
    }
  }
  if (!loaded.ok()) {
    (void)Load(std::nullopt);
    totals = {};
  }
  token = present;
  return loaded;
}

Status LetterStore::State::Told(const Status& failure) const {
  return failure.code() == Status::Code::kInvalid
             ? failure.Within(letter_file::In(folder).string())
             : letter_file::Explain(*connection, failure, folder);
}

Status LetterStore::State::Fail(Status failure) {
  if (failure.code() == Status::Code::kDenied) {
    return failure.Within(letter_file::In(folder).string());
  }
  if (IsVerdict(failure, *connection)) {
    return failure;
  }
  Status told = Told(failure);
  if (!MayPass(told)) {
    told = letter_file::AddWayOut(told, folder);
    dead = told.Within("store closed after a failure");
  }
  return told;
}

// One change of several.
Status LetterStore::State::Join(const Body& body) {
  CATCHUP_RETURN_IF_ERROR(joint->failed);
  Status status = body(joint->counted);
  if (status.code() != Status::Code::kNotFound) {
    joint->failed = status;
  }
  return status;
}

Status LetterStore::State::Write(const Body& body, Of what) {
  if (joint) {
    return Join(body);
  }
  if (!dead.ok()) {
    return dead;
  }
  if (!connection) {
    CATCHUP_RETURN_IF_ERROR(MakeFile());
  }
  MakeRoom();
  Status status = connection->Execute("BEGIN IMMEDIATE");
  if (status.ok() && doubted) {
    status = Recount();
  }
  LetterTotals counted = totals;
  LettersMark next = mark;
  if (status.ok()) {
    status = body(&counted);
  }
  if (status.ok() && what == Of::kLetters) {
    ++next.changes;
    status = writer->SetMark(next);
  }
  if (status.ok() && !CheckStillThere().ok()) {
    steps->Forget();
    (void)connection->Execute("ROLLBACK");
    return dead;
  }
  if (status.ok()) {
    status = CheckFailPoint(FailPoint::kBeforeLetterCommit);
  }
  if (status.ok()) {
    status = connection->Execute("COMMIT");
    doubted = !status.ok();
    PassFailPoint(FailPoint::kAfterLetterCommit);
  }
  if (status.ok()) {
    totals = counted;
    mark = next;
    steps->Keep();
    return status;
  }
  status = Fail(std::move(status));
  steps->Forget();
  // Where even this meets the full disk, SQLite takes the transaction back before the next one
  // begins, and fails that until it could.
  if (connection->in_transaction()) {
    (void)connection->Execute("ROLLBACK");
  }
  return status;
}

// Before a commit that adds pages finds none. Measured with ext4 on a virtual disk: a sync behind a
// write within the file takes 0.2 ms, behind one that makes it longer 1.2 ms, at the median.
void LetterStore::State::MakeRoom() {
  constexpr std::uint64_t kPage = 4096;
  constexpr std::uint64_t kLow = 64u << 10;
  constexpr std::uint64_t kLeast = 128u << 10;
  constexpr std::uint64_t kMost = 2u << 20;
  // A change that removes, which may be what makes room on a full disk: some ten pages, each with
  // what the journal adds to it.
  constexpr std::uint64_t kJournal = 128u << 10;
  connection->LengthenJournalTo(kJournal);
  const std::uint64_t size = connection->FileSize();
  const auto pages = connection->QueryInt("PRAGMA page_count");
  if (pages.ok() && size < static_cast<std::uint64_t>(*pages) * kPage + kLow) {
    connection->LengthenTo(size + std::clamp(size / 4, kLeast, kMost));
  }
}

Status LetterStore::State::CheckStillThere() {
  if (dead.ok() && connection && connection->moved()) {
    dead = Status::Internal(letter_file::In(folder).string() +
                            ": it was removed or moved away while the group ran, so no letter can "
                            "be kept; put the file back as it was and restart the host");
  }
  return dead;
}

// The last write of a commit, which is its word, can be done and reported as failed.
Status LetterStore::State::Recount() {
  CATCHUP_ASSIGN_OR_RETURN(totals, CountLetters(&*connection));
  CATCHUP_RETURN_IF_ERROR(steps->Recount());
  CATCHUP_ASSIGN_OR_RETURN(token, ReadToken(&*connection));
  CATCHUP_ASSIGN_OR_RETURN(const auto found, ReadMark(&*connection));
  mark = found.value_or(mark);
  doubted = false;
  return {};
}

Status LetterStore::State::Remove(std::uint64_t fence, Position position,
                                  const std::vector<Step>& told,
                                  const std::function<Status(const Letter&)>& also) {
  if (!connection) {
    return NoLetter(position);
  }
  return Write([&](LetterTotals* counted) -> Status {
    CATCHUP_ASSIGN_OR_RETURN(const Letter letter, writer->Require(position));
    CATCHUP_RETURN_IF_ERROR(writer->Delete(fence, letter.head, counted));
    CATCHUP_RETURN_IF_ERROR(also(letter));
    return AddSteps(told, letter);
  });
}

Status LetterStore::State::AddSteps(const std::vector<Step>& told, const Letter& letter) {
  const std::int64_t now = NowTicks();
  for (const Step& step : told) {
    CATCHUP_RETURN_IF_ERROR(steps->Add(step.kind, group, letter, step.note, now));
  }
  return {};
}

Status LetterStore::State::CheckToken(std::uint64_t wanted) const {
  return wanted == token
             ? Status()
             : Status::Denied(fmt::format("{}: fenced: token {}, wanted {}",
                                          letter_file::In(folder).string(), wanted, token));
}

Status LetterStore::State::NoLetter(Position position) const {
  return Status::NotFound(NoLetterText(group, position));
}

}  // namespace catchup
