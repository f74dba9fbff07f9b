#include "host/store/letter_store.h"

#include <sodium.h>

#include <algorithm>
#include <functional>
#include <utility>

#include "host/base/random.h"
#include "host/base/test_seams.h"
#include "host/base/text.h"
#include "host/base/time_text.h"
#include "host/store/letter_decisions.h"
#include "host/store/letter_file.h"
#include "host/store/letter_mark.h"
#include "host/store/letter_renewal.h"
#include "host/store/letter_rows.h"
#include "host/store/letter_writer.h"

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

struct LetterStore::State {
  State(std::filesystem::path the_folder, std::string the_group, Options the_options)
      : folder(std::move(the_folder)),
        group(std::move(the_group)),
        options(std::move(the_options)),
        reader(nullptr, folder) {}
  ~State();

  const std::filesystem::path folder;
  const std::string group;
  const Options options;

  std::optional<Connection> connection;  // None: no file.
  LetterReader reader;
  std::optional<LetterWriter> writer;
  std::optional<LetterSteps> steps;
  LetterTotals totals;
  LettersMark mark;  // But for its letters.
  std::string warning;
  std::uint64_t token = 0;
  Status dead;           // Not ok once the disk has failed.
  bool doubted = false;  // A commit has failed, and the file may hold it all the same.

  // A transaction that several changes share.
  struct Joint {
    LetterTotals* counted = nullptr;
    Status failed;  // The first change that failed.
  };
  std::optional<Joint> joint;

  Status Load(std::optional<Connection> opened);
  Status TakeUp();
  Status TakeUpMark();
  Status MakeFile();

  // Runs `body` in a transaction; what it counts is kept if that is on the disk. Where it
  // changes nothing of letters, an earlier state of the file is as good.
  using Body = std::function<Status(LetterTotals* counted)>;
  enum class Of : std::uint8_t { kLetters, kOthers };
  Status Write(const Body& body, Of what = Of::kLetters);
  Status Join(const Body& body);
  void MakeRoom();
  Status CheckStillThere();
  Status Recount();
  Status Told(const Status& failure) const;
  Status Fail(Status failure);
  // `also` is done in the same transaction.
  Status Remove(std::uint64_t fence, Position position, const std::vector<Step>& told,
                const std::function<Status(const Letter&)>& also);
  Status AddSteps(const std::vector<Step>& told, const Letter& letter);

  // What a change under a wrong token comes to, before a file is made for it.
  Status CheckToken(std::uint64_t wanted) const;
  Status NoLetter(Position position) const;
};

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
             : Status::Denied(letter_file::In(folder).string() + ": fenced: token " +
                              std::to_string(wanted) + ", wanted " + std::to_string(token));
}

Status LetterStore::State::NoLetter(Position position) const {
  return Status::NotFound("group " + group + " has no letter " + FormatPosition(position));
}

LetterStore::LetterStore(std::unique_ptr<State> state) : state_(std::move(state)) {}
LetterStore::~LetterStore() = default;

Result<std::unique_ptr<LetterStore>> LetterStore::Open(const std::filesystem::path& folder,
                                                       const std::string& group,
                                                       const Options& options) {
  // Chooses the fast code for this processor; safe to repeat.
  if (sodium_init() < 0) {
    return Status::Internal("libsodium cannot start");
  }
  auto state = std::make_unique<State>(folder, group, options);
  CATCHUP_ASSIGN_OR_RETURN(auto opened, letter_file::OpenToWrite(folder, group));
  if (!opened) {
    const std::string file = letter_file::In(folder).string();
    CATCHUP_RETURN_IF_ERROR(CheckKnown({}, options.known, group).Within(file));
    if (options.known.mark) {
      state->warning = file + ": it is gone; it held no letter when the checkpoint was written";
    }
  }
  if (Status loaded = state->Load(std::move(opened)); !loaded.ok()) {
    state->dead = loaded;  // Whatever it was: the next one looks closely at the file.
    return loaded;
  }
  return std::unique_ptr<LetterStore>(new LetterStore(std::move(state)));
}

const std::string& LetterStore::warning() const { return state_->warning; }

std::optional<LettersMark> LetterStore::mark() const {
  // What is known of a file that is gone stays known until another one takes its place.
  std::optional<LettersMark> mark = state_->options.known.mark;
  if (state_->connection) {
    mark = state_->mark;
    mark->letters = state_->totals.letters();
  }
  return mark;
}

const LetterTotals& LetterStore::totals() const { return state_->totals; }
const LetterBounds& LetterStore::bounds() const { return state_->options.bounds; }
std::uint64_t LetterStore::token() const { return state_->token; }
LetterReader& LetterStore::reader() { return state_->reader; }

Status LetterStore::CheckStillThere() { return state_->CheckStillThere(); }

Status LetterStore::SetToken(std::uint64_t token) {
  if (token < state_->token) {
    return Status::Denied(letter_file::In(state_->folder).string() + ": fenced: token " +
                          std::to_string(state_->token) + " seen, ours " + std::to_string(token));
  }
  if (state_->connection && token != state_->token) {
    const Status raised =
        state_->Write([&](LetterTotals*) -> Status { return state_->writer->RaiseToken(token); },
                      State::Of::kOthers);
    if (!raised.ok()) {
      return raised;
    }
  }
  state_->token = token;
  return {};
}

Status LetterStore::Together(const std::function<Status()>& body) {
  if (!state_->connection) {
    return body();
  }
  Status said;
  bool refused = false;  // By other than a change.
  const Status written = state_->Write([&](LetterTotals* counted) -> Status {
    state_->joint.emplace().counted = counted;
    said = body();
    const Status failed = std::exchange(state_->joint, std::nullopt)->failed;
    refused = failed.ok() && !said.ok();
    return refused ? Status::NotFound("nothing is to be written") : failed;
  });
  return refused ? said : written;
}

bool LetterStore::HasRoomFor(std::span<const Letter> letters) const {
  std::uint64_t bytes = state_->totals.bytes;
  for (const Letter& letter : letters) {
    bytes += LetterBytes(letter);
  }
  return state_->totals.letters() + letters.size() <= bounds().max_letters &&
         bytes <= bounds().max_bytes;
}

Status LetterStore::Insert(std::uint64_t token, std::span<Letter> letters) {
  for (Letter& letter : letters) {
    if (!IsPlace(letter.head.position)) {
      return Status::NotFound("no letter can have position " +
                              FormatPosition(letter.head.position));
    }
    CutLetter(&letter.cause);
    letter.head.bytes = LetterBytes(letter);
  }
  CATCHUP_RETURN_IF_ERROR(state_->CheckToken(token));
  return state_->Write([&](LetterTotals* counted) -> Status {
    for (const Letter& letter : letters) {
      CATCHUP_ASSIGN_OR_RETURN(const bool added, state_->writer->Insert(token, letter, counted));
      if (letter.head.letter_class == StoredClass::kByHand) {
        CATCHUP_RETURN_IF_ERROR(RemovePark(letter.head.position, &*state_->connection));
      }
      if (added) {
        CATCHUP_RETURN_IF_ERROR(state_->steps->Add(LetterStepKind::kWritten, state_->group, letter,
                                                   "", letter.head.written_ticks));
      }
    }
    // After those that were there already were left out.
    const bool fits =
        counted->letters() <= bounds().max_letters && counted->bytes <= bounds().max_bytes;
    return fits ? Status()
                : Status::Exhausted("dead letters full: " + std::to_string(totals().letters()) +
                                    " of " + std::to_string(bounds().max_letters) + " letters, " +
                                    std::to_string(totals().bytes) + " of " +
                                    std::to_string(bounds().max_bytes) + " bytes");
  });
}

Status LetterStore::Update(std::uint64_t token, const Change& change) {
  if (!state_->connection) {
    return state_->NoLetter(change.head.position);
  }
  return state_->Write([&](LetterTotals* counted) -> Status {
    CATCHUP_ASSIGN_OR_RETURN(Letter letter, state_->writer->Require(change.head.position));
    const LetterHead before = letter.head;
    letter.head = change.head;
    letter.cause = change.cause;
    CutLetter(&letter.cause);
    letter.head.bytes = LetterBytes(letter);
    CATCHUP_RETURN_IF_ERROR(state_->writer->UpdateHead(token, before, letter.head, counted));
    CATCHUP_RETURN_IF_ERROR(state_->writer->UpdateCause(letter.head.position, letter.cause));
    return state_->AddSteps(change.steps, letter);
  });
}

Status LetterStore::MakeDue(std::uint64_t token, std::span<const Position> letters,
                            std::int64_t due_ticks) {
  if (!state_->connection) {
    return state_->CheckToken(token);
  }
  return state_->Write([&](LetterTotals*) -> Status {
    for (const Position letter : letters) {
      CATCHUP_RETURN_IF_ERROR(state_->writer->MakeDue(token, letter, due_ticks));
    }
    return {};
  });
}

Status LetterStore::RemoveHealed(std::uint64_t token, Position position,
                                 const std::optional<std::string>& retried_by) {
  std::vector<Step> told;
  if (retried_by) {
    told.push_back({LetterStepKind::kRetried, *retried_by});
  }
  told.push_back({LetterStepKind::kHealed, ""});
  return state_->Remove(token, position, told, [](const Letter&) { return Status(); });
}

Status LetterStore::Drop(std::uint64_t token, Position position, const std::string& reason,
                         const std::string& by) {
  return state_->Remove(
      token, position, {{LetterStepKind::kDropped, reason}}, [&](const Letter& letter) {
        const LetterHead& head = letter.head;
        return AddDrop({position, head.stream, head.type, head.event_id, head.revision,
                        head.letter_class, NowTicks(), by, CutText(reason, kMaxOperatorReason)},
                       &*state_->connection);
      });
}

Status LetterStore::RemoveBeyond(std::uint64_t token, std::optional<Position> position) {
  if (!state_->connection) {
    return state_->CheckToken(token);
  }
  return state_->Write([&](LetterTotals* counted) -> Status {
    return state_->writer->DeleteBeyond(token, position, counted);
  });
}

Status LetterStore::SetPark(std::uint64_t token, const LetterPark& park) {
  CATCHUP_RETURN_IF_ERROR(state_->CheckToken(token));
  LetterPark cut = park;
  cut.reason = CutText(park.reason, kMaxOperatorReason);
  return state_->Write(
      [&](LetterTotals*) -> Status { return catchup::SetPark(token, cut, &*state_->connection); });
}

Status LetterStore::EndPark(Position position) {
  if (!state_->connection) {
    return {};
  }
  return state_->Write(
      [&](LetterTotals*) -> Status { return RemovePark(position, &*state_->connection); });
}

Status LetterStore::SetHold(std::uint64_t token, const LetterHold& hold) {
  CATCHUP_RETURN_IF_ERROR(state_->CheckToken(token));
  LetterHold cut = hold;
  cut.reason = CutText(hold.reason, kMaxLetterReason);
  return state_->Write(
      [&](LetterTotals*) -> Status { return state_->writer->SetHold(token, cut); });
}

Status LetterStore::EndHold(std::uint64_t token, const std::string& type) {
  if (!state_->connection) {
    return state_->CheckToken(token);
  }
  return state_->Write(
      [&](LetterTotals*) -> Status { return state_->writer->EndHold(token, type); });
}

Result<LetterSteps::Part> LetterStore::ReadSteps(const std::string& sink) {
  if (!state_->steps || state_->steps->empty()) {
    return LetterSteps::Part();
  }
  if (!state_->dead.ok()) {
    return state_->dead;
  }
  auto steps = state_->steps->Read(sink);
  return steps.ok() ? std::move(steps) : state_->Fail(steps.status());
}

Status LetterStore::SetPlace(const std::string& sink, std::uint64_t number) {
  if (!state_->steps) {
    return {};
  }
  return state_->Write(
      [&](LetterTotals*) -> Status { return state_->steps->SetPlace(sink, number); },
      State::Of::kOthers);
}

}  // namespace catchup
