#include "host/store/letter_store.h"

#include <fmt/core.h>
#include <sodium.h>

#include <utility>

#include "host/base/text.h"
#include "host/base/time_text.h"
#include "host/store/letter_decisions.h"
#include "host/store/letter_file.h"
#include "host/store/letter_mark.h"
#include "host/store/letter_store_state.h"

namespace catchup {

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
    return Status::Denied(fmt::format("{}: fenced: token {} seen, ours {}",
                                      letter_file::In(state_->folder).string(), state_->token,
                                      token));
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
    state_->joint.emplace(counted);
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
                : Status::Exhausted(fmt::format(
                      "dead letters full: {} of {} letters, {} of {} bytes", totals().letters(),
                      bounds().max_letters, totals().bytes, bounds().max_bytes));
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
