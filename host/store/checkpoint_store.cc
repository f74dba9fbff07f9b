#include "host/store/checkpoint_store.h"

#include <fmt/core.h>
#include <sodium.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>

#include "host/base/check.h"
#include "host/base/durable_file.h"
#include "host/base/test_seams.h"
#include "host/base/time_text.h"
#include "host/store/checkpoint_choice.h"
#include "host/store/checkpoint_file.h"
#include "host/store/checkpoint_slot.h"
#include "host/store/witnesses.h"

namespace catchup {
namespace {

constexpr const char* kFileName = "checkpoint";

// Makes the group's folder with everything in it, in one step for whoever looks.
Status CreateGroup(const std::filesystem::path& groups, const std::string& group,
                   const SlotContent& content) {
  // No group's name begins with a dot, so this can only be left over from an earlier start.
  const std::filesystem::path fresh = groups / fmt::format(".{}.new", group);
  std::error_code error;
  std::filesystem::remove_all(fresh, error);
  if (error) {
    return Status::FromErrno("remove " + fresh.string(), error.value());
  }
  CATCHUP_RETURN_IF_ERROR(MakeDirectory(fresh));
  CATCHUP_RETURN_IF_ERROR(MakeDirectory(fresh / "data"));
  CATCHUP_RETURN_IF_ERROR(CheckpointFile::Write(fresh / kFileName, EqualSlots(content)));
  CATCHUP_RETURN_IF_ERROR(SyncDirectory(fresh));
  return RenameDurably(fresh, groups / group);
}

// Whether the group's folder is there; a folder without its file is a failure.
Result<bool> GroupExists(const std::filesystem::path& folder, const std::filesystem::path& file,
                         const std::string& group) {
  struct stat info {};
  if (::lstat(folder.c_str(), &info) != 0) {
    if (errno == ENOENT) {
      return false;
    }
    return Status::FromErrno("look at " + folder.string(), errno);
  }
  if (!S_ISDIR(info.st_mode)) {
    return Status::Invalid(fmt::format("{}: it is no directory, wanted the folder of group {}",
                                       folder.string(), group));
  }
  if (::lstat(file.c_str(), &info) != 0) {
    if (errno == ENOENT) {
      return Status::Corrupt(
          fmt::format("{}: the file is gone while the folder of group {} is there; without it "
                      "nobody knows what was handled",
                      file.string(), group));
    }
    return Status::FromErrno("look at " + file.string(), errno);
  }
  if (!S_ISREG(info.st_mode)) {
    return Status::Corrupt(file.string() + ": it is no regular file, wanted a checkpoint");
  }
  return true;
}

// What a run would go on from, found by reading alone.
Result<CheckpointChoice> Look(const std::filesystem::path& file, const SlotContent& wanted) {
  CATCHUP_ASSIGN_OR_RETURN(const auto image, CheckpointFile::Read(file));
  CATCHUP_ASSIGN_OR_RETURN(auto found, ChooseSlot(image, wanted, file));
  CATCHUP_RETURN_IF_ERROR(CheckFilter(found.content, wanted, file));
  return found;
}

// Chooses the fast code for this processor; safe to repeat, and the sums are the same without it.
Status StartSums() {
  return sodium_init() < 0 ? Status::Internal("libsodium cannot start") : Status();
}

}  // namespace

struct CheckpointStore::State {
  std::filesystem::path file;
  std::unique_ptr<CheckpointFile> slots;
  SlotContent content;
  std::uint8_t newest = 0;  // The slot that holds `content`.
  std::string warning;
  // What takes the place of the content's filter with the first checkpoint.
  std::optional<SlotContent> new_filter;
  // Whether it does so with its first checkpoint. A command says so itself.
  bool adopts_filter = true;
  Status dead;  // Not ok once the disk has failed.

  Status WriteSlot(std::uint8_t slot, const SlotContent& next) {
    CATCHUP_RETURN_IF_ERROR(CheckFailPoint(FailPoint::kBeforeCheckpointWrite));
    CATCHUP_RETURN_IF_ERROR(slots->WriteSlot(slot, EncodeSlot(slot, next)));
    PassFailPoint(FailPoint::kAfterCheckpointWrite);
    return {};
  }
  Status Write(SlotContent next);
  Status Write(CheckpointRecord record) {
    SlotContent next = content;
    next.record = std::move(record);
    return Write(std::move(next));
  }
};

// Numbers and dates `next` and writes it. Its filter becomes the new one with its first checkpoint.
Status CheckpointStore::State::Write(SlotContent next) {
  if (!dead.ok()) {
    return dead;
  }
  next.record.number = content.record.number + 1;
  next.record.time_ticks = NowTicks();
  // Without a checkpoint it stays to be known that the beginning was wanted.
  if (next.reset && !next.reset->pending && next.record.checkpoint) {
    next.reset.reset();
  }
  if (new_filter && adopts_filter && next.record.checkpoint) {
    next.filter_digest = new_filter->filter_digest;
    next.filter_text = new_filter->filter_text;
  }
  const auto older = static_cast<std::uint8_t>(1 - newest);
  if (Status written = WriteSlot(older, next); !written.ok()) {
    const bool may_pass =
        written.code() == Status::Code::kExhausted || written.code() == Status::Code::kUnavailable;
    if (!may_pass) {
      dead = written.Within("store closed after a failure");
    }
    return written;
  }
  content = std::move(next);
  newest = older;
  if (new_filter && content.filter_digest == new_filter->filter_digest) {
    new_filter.reset();
  }
  return {};
}

CheckpointStore::CheckpointStore(std::unique_ptr<State> state) : state_(std::move(state)) {}
CheckpointStore::~CheckpointStore() = default;

Result<std::unique_ptr<CheckpointStore>> CheckpointStore::Open(const std::filesystem::path& groups,
                                                               const std::string& group,
                                                               const EventFilter& filter) {
  auto store = TryOpen(groups, group, filter, For::kRun);
  return store.ok() ? std::move(store) : WithWayOut(store.status(), groups / group);
}

Result<std::unique_ptr<CheckpointStore>> CheckpointStore::OpenForCommand(
    const std::filesystem::path& groups, const std::string& group, const EventFilter& filter) {
  auto store = TryOpen(groups, group, filter, For::kCommand);
  return store.ok() ? std::move(store) : WithWayOut(store.status(), groups / group);
}

Result<std::unique_ptr<CheckpointStore>> CheckpointStore::Replace(
    const std::filesystem::path& groups, const std::string& group, const EventFilter& filter) {
  CATCHUP_RETURN_IF_ERROR(StartSums());
  const std::filesystem::path file = groups / group / kFileName;
  std::filesystem::path bad = file;
  bad += ".bad";
  std::filesystem::path fresh = file;
  fresh += ".new";
  struct stat info {};
  if (::lstat(file.c_str(), &info) == 0) {
    CATCHUP_RETURN_IF_ERROR(RenameDurably(file, bad));
  }
  CATCHUP_RETURN_IF_ERROR(CheckpointFile::Write(fresh, EqualSlots(NewContent(group, filter))));
  CATCHUP_RETURN_IF_ERROR(RenameDurably(fresh, file));
  return OpenForCommand(groups, group, filter);
}

Result<std::unique_ptr<CheckpointStore>> CheckpointStore::TryOpen(
    const std::filesystem::path& groups, const std::string& group, const EventFilter& filter,
    For who) {
  CATCHUP_RETURN_IF_ERROR(StartSums());
  const std::filesystem::path folder = groups / group;
  auto state = std::make_unique<State>();
  state->file = folder / kFileName;
  const SlotContent wanted = NewContent(group, filter);
  CATCHUP_ASSIGN_OR_RETURN(const auto exists, GroupExists(folder, state->file, group));
  if (!exists && who == For::kCommand) {
    return Status::NotFound("group " + group + " has never run: there is no " + folder.string());
  }
  if (!exists) {
    CATCHUP_RETURN_IF_ERROR(CreateGroup(groups, group, wanted));
  }
  CATCHUP_ASSIGN_OR_RETURN(auto opened, CheckpointFile::Open(state->file));
  CATCHUP_ASSIGN_OR_RETURN(const auto image, opened->Read());
  CATCHUP_ASSIGN_OR_RETURN(auto found, ChooseSlot(image, wanted, state->file));
  if (who == For::kRun) {
    CATCHUP_RETURN_IF_ERROR(CheckFilter(found.content, wanted, state->file));
  }
  state->slots = std::move(opened);
  state->adopts_filter = who == For::kRun;
  state->content = std::move(found.content);
  state->warning = std::move(found.warning);
  if (state->content.filter_digest != wanted.filter_digest) {
    if (state->content.record.token > 0 || state->content.record.checkpoint) {
      state->new_filter = wanted;
    } else {
      state->content.filter_digest = wanted.filter_digest;
      state->content.filter_text = wanted.filter_text;
    }
  }
  CATCHUP_RETURN_IF_ERROR(state->slots->Renew(EqualSlots(state->content)));
  // An earlier try, or an earlier host, may have failed between the making of the group's folder
  // and this.
  CATCHUP_RETURN_IF_ERROR(SyncDirectory(groups));
  return std::unique_ptr<CheckpointStore>(new CheckpointStore(std::move(state)));
}

Result<CheckpointStore::Inspection> CheckpointStore::Inspect(const std::filesystem::path& groups,
                                                             const std::string& group,
                                                             const EventFilter& filter) {
  // A host that writes may be seen in the middle of it, but not so many times in a row.
  constexpr int kMaxLooks = 3;
  CATCHUP_RETURN_IF_ERROR(StartSums());
  const std::filesystem::path folder = groups / group;
  const std::filesystem::path file = folder / kFileName;
  const SlotContent wanted = NewContent(group, filter);
  Result<CheckpointChoice> found = CheckpointChoice();
  for (int look = 0; look < kMaxLooks; ++look) {
    const auto exists = GroupExists(folder, file, group);
    if (!exists.ok()) {
      return WithWayOut(exists.status(), folder);
    }
    if (!*exists) {
      return Inspection();
    }
    found = Look(file, wanted);
    if (found.ok() ? found->warning.empty() : found.status().code() != Status::Code::kCorrupt) {
      break;
    }
  }
  if (!found.ok()) {
    return WithWayOut(found.status(), folder);
  }
  return Inspection{found->warning, found->content.record};
}

const CheckpointRecord& CheckpointStore::record() const { return state_->content.record; }
DesiredState CheckpointStore::desired() const { return state_->content.desired; }
const std::optional<ResetOrder>& CheckpointStore::reset() const { return state_->content.reset; }
std::uint64_t CheckpointStore::fence() const { return state_->content.fence; }
const std::string& CheckpointStore::filter_text() const { return state_->content.filter_text; }
const std::filesystem::path& CheckpointStore::file() const { return state_->file; }
bool CheckpointStore::filter_changed() const { return state_->new_filter.has_value(); }
const std::string& CheckpointStore::warning() const { return state_->warning; }

Status CheckpointStore::Save(const CheckpointRecord& record) {
  const auto& present = state_->content.record.checkpoint;
  if (present && (!record.checkpoint || *record.checkpoint < *present)) {
    return Status::Invalid(fmt::format(
        "{}: checkpoint {} lies before the present one, wanted {} or later", state_->file.string(),
        record.checkpoint ? FormatPosition(*record.checkpoint) : "none", FormatPosition(*present)));
  }
  return Rewind(record);
}

Status CheckpointStore::Rewind(const CheckpointRecord& record) {
  if (record.token != state_->content.record.token) {
    return Status::Denied(fmt::format("{}: fenced: token {}, wanted {}", state_->file.string(),
                                      record.token, state_->content.record.token));
  }
  return state_->Write(record);
}

Result<std::uint64_t> CheckpointStore::RaiseTokenAbove(std::uint64_t seen) {
  CheckpointRecord record = state_->content.record;
  record.token = std::max(record.token, seen) + 1;
  CATCHUP_RETURN_IF_ERROR(state_->Write(std::move(record)));
  return state_->content.record.token;
}

Status CheckpointStore::AcceptFilter() {
  if (!state_->new_filter) {
    return {};
  }
  SlotContent next = state_->content;
  next.filter_digest = state_->new_filter->filter_digest;
  next.filter_text = state_->new_filter->filter_text;
  return state_->Write(std::move(next));
}

Status CheckpointStore::SetFence(std::uint64_t seen) {
  SlotContent next = state_->content;
  next.fence = seen;
  return state_->Write(std::move(next));
}

Status CheckpointStore::TakeOver() {
  SlotContent next = state_->content;
  next.record.token = std::max(next.record.token, next.fence);
  next.fence = 0;
  return state_->Write(std::move(next));
}

Status CheckpointStore::Reset(std::optional<Position> to, std::vector<Witness> kept) {
  SlotContent next = state_->content;
  next.record.checkpoint = to;
  next.record.last_event.reset();
  if (!kept.empty()) {
    next.record.last_event = kept.front().position;
  }
  next.record.witnesses = std::move(kept);
  next.record.letters.reset();  // With whatever letters there are.
  if (!to.has_value()) {
    next.record.start = {RecordedStart::Kind::kBeginning, {}};
  }
  next.reset = ResetOrder{{to}, true};
  if (state_->new_filter) {
    next.filter_digest = state_->new_filter->filter_digest;
    next.filter_text = state_->new_filter->filter_text;
  }
  return state_->Write(std::move(next));
}

Status CheckpointStore::FinishReset() {
  SlotContent next = state_->content;
  if (!next.reset.has_value()) {
    return {};
  }
  next.reset->pending = false;
  return state_->Write(std::move(next));
}

Status CheckpointStore::SetDesired(DesiredState desired) {
  SlotContent next = state_->content;
  next.desired = desired;
  return state_->Write(std::move(next));
}

Status CheckpointStore::CheckStillThere() {
  Status there = state_->slots->CheckStillThere();
  if (!there.ok() && state_->dead.ok()) {
    state_->dead = there.Within("store closed after a failure");
  }
  return there;
}

}  // namespace catchup
