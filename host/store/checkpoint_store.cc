#include "host/store/checkpoint_store.h"

#include <sodium.h>
#include <sys/stat.h>

#include <cerrno>

#include "host/base/check.h"
#include "host/base/time_text.h"
#include "host/store/checkpoint_file.h"
#include "host/store/checkpoint_slot.h"
#include "host/store/durable_file.h"

namespace catchup {
namespace {

constexpr const char* kFileName = "checkpoint.db";

std::filesystem::path WithSuffix(std::filesystem::path path, const char* suffix) {
  path += suffix;
  return path;
}

std::string WayOut(const std::string& group) {
  return "; restore the file from a backup, or begin anew: move the folder groups/" + group +
         " away while no host runs";
}

// What the rows of a file amount to.
struct Found {
  SlotContent content;
  int newest = 0;
  DesiredState desired = DesiredState::kRunning;
  std::string warning;
};

CheckpointFile::Image MakeImage(const SlotContent& content, DesiredState desired) {
  CheckpointFile::Image image;
  for (std::uint8_t slot = 0; slot < image.slots.size(); ++slot) {
    image.slots[slot] = EncodeSlot(slot, content);
  }
  image.desired = EncodeDesired(desired, content.record.time_ticks);
  return image;
}

// Chooses the valid slot with the higher number.
Result<Found> Choose(const CheckpointFile::Image& image, const std::string& file,
                     const std::string& group) {
  std::array<std::optional<SlotContent>, 2> slots;
  std::array<std::string, 2> faults;
  for (std::uint8_t i = 0; i < slots.size(); ++i) {
    if (!image.slots[i]) {
      faults[i] = "it cannot be read";
      continue;
    }
    auto decoded = DecodeSlot(i, *image.slots[i]);
    if (decoded.ok()) {
      slots[i] = *std::move(decoded);
    } else if (decoded.status().code() == Status::Code::kIncompatible) {
      return decoded.status().Within(file);
    } else {
      faults[i] = decoded.status().message();
    }
  }
  if (!slots[0] && !slots[1]) {
    return Status::Corrupt(file + ": both slots are bad (" + faults[0] + "; " + faults[1] +
                           "), wanted at least one" + WayOut(group));
  }
  Found found;
  found.newest = !slots[0] || (slots[1] && slots[1]->record.number > slots[0]->record.number);
  found.content = *slots[static_cast<std::size_t>(found.newest)];
  if (!slots[0] || !slots[1]) {
    found.warning = file + ": slot " + (slots[0] ? "2" : "1") + " of 2 is bad (" +
                    (slots[0] ? faults[1] : faults[0]) +
                    "), the other one is used: some events may come again";
    // The bad slot may have been the newer one, and a token is raised by one write. Never give a
    // token out twice.
    ++found.content.record.token;
    ++found.content.record.number;
  }
  if (!image.desired) {
    return Status::Corrupt(file + ": the desired state cannot be read" + WayOut(group));
  }
  const auto desired = DecodeDesired(*image.desired);
  if (!desired.ok()) {
    return Status::Corrupt(file + ": the desired state is bad: " + desired.status().message() +
                           WayOut(group));
  }
  found.desired = *desired;
  return found;
}

SlotContent Wanted(const std::string& group, const EventFilter& filter) {
  SlotContent wanted;
  wanted.group = group;
  wanted.filter_digest = FilterDigest(filter);
  wanted.filter_text = FilterText(filter);
  wanted.record.time_ticks = NowTicks();
  return wanted;
}

Status CheckFilter(const Found& found, const SlotContent& wanted, const std::string& file) {
  const auto& checkpoint = found.content.record.checkpoint;
  if (found.content.filter_digest == wanted.filter_digest || !checkpoint) {
    return {};
  }
  return Status::Invalid(file + ": the filter of the group has changed: checkpoint " +
                         FormatPosition(*checkpoint) + " was made with " +
                         found.content.filter_text + ", the configuration says " +
                         wanted.filter_text +
                         "; older events of the new filter would be lost, so wanted the old "
                         "filter, or another group name for the new one");
}

// Makes the group's folder with everything in it, in one step for whoever looks.
Status CreateGroup(const std::filesystem::path& groups, const std::string& group,
                   const SlotContent& content) {
  // No group's name begins with a dot, so this is a rest of an earlier start at most.
  const std::filesystem::path fresh = groups / ("." + group + ".new");
  std::error_code error;
  std::filesystem::remove_all(fresh, error);
  if (error) {
    return Status::FromErrno("remove " + fresh.string(), error.value());
  }
  CATCHUP_RETURN_IF_ERROR(MakeDirectory(fresh));
  CATCHUP_RETURN_IF_ERROR(MakeDirectory(fresh / "data"));
  CATCHUP_RETURN_IF_ERROR(
      CheckpointFile::Write(fresh / kFileName, MakeImage(content, DesiredState::kRunning)));
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
    return Status::Invalid(folder.string() + ": it is no directory, wanted the folder of group " +
                           group);
  }
  if (::lstat(file.c_str(), &info) != 0) {
    if (errno == ENOENT) {
      return Status::Corrupt(file.string() + ": the file is gone while the folder of group " +
                             group + " is there; without it nobody knows what was handled" +
                             WayOut(group));
    }
    return Status::FromErrno("look at " + file.string(), errno);
  }
  if (!S_ISREG(info.st_mode)) {
    return Status::Corrupt(file.string() + ": it is no regular file, wanted a checkpoint store" +
                           WayOut(group));
  }
  return true;
}

// Chooses from what was read, and checks that it is what the group of `wanted` may go on from.
Result<Found> Accept(const Result<CheckpointFile::Image>& image, const SlotContent& wanted,
                     const std::string& file) {
  if (!image.ok()) {
    const Status& status = image.status();
    const bool is_lost =
        status.code() == Status::Code::kCorrupt || status.code() == Status::Code::kIncompatible;
    return is_lost ? Status(status.code(), status.message() + WayOut(wanted.group)) : status;
  }
  auto found = Choose(*image, file, wanted.group);
  if (!found.ok()) {
    return found;
  }
  if (found->content.group != wanted.group) {
    return Status::Incompatible(file + ": it belongs to group " + found->content.group +
                                ", wanted that of group " + wanted.group);
  }
  CATCHUP_RETURN_IF_ERROR(CheckFilter(*found, wanted, file));
  return found;
}

// Chooses the fast code for this processor; safe to repeat, and the sums are the same without it.
Status StartSums() {
  return sodium_init() < 0 ? Status::Internal("libsodium cannot start") : Status();
}

}  // namespace

struct CheckpointStore::State {
  std::filesystem::path file;
  std::unique_ptr<CheckpointFile> rows;
  SlotContent content;
  int newest = 0;  // The slot that holds `content`.
  DesiredState desired = DesiredState::kRunning;
  std::string warning;
  // What takes the place of the content's filter with the first checkpoint.
  std::optional<SlotContent> new_filter;
  Status dead;  // Not ok once the disk has failed.

  Status Write(CheckpointRecord record, bool accepts_filter = false);
  Status CheckAlive() const { return dead.ok() ? Status() : dead; }
  Status Judge(Status status);
};

// Keeps a final failure.
Status CheckpointStore::State::Judge(Status status) {
  if (!status.ok() && status.code() != Status::Code::kExhausted) {
    dead = status.Within("store closed after a failure");
  }
  return status;
}

Status CheckpointStore::State::Write(CheckpointRecord record, bool accepts_filter) {
  CATCHUP_RETURN_IF_ERROR(CheckAlive());
  record.number = content.record.number + 1;
  record.time_ticks = NowTicks();
  SlotContent next = content;
  next.record = std::move(record);
  accepts_filter = new_filter && (accepts_filter || next.record.checkpoint);
  if (accepts_filter) {
    next.filter_digest = new_filter->filter_digest;
    next.filter_text = new_filter->filter_text;
  }
  const int older = 1 - newest;
  CATCHUP_RETURN_IF_ERROR(
      Judge(rows->UpdateSlot(older, EncodeSlot(static_cast<std::uint8_t>(older), next))));
  content = std::move(next);
  newest = older;
  if (accepts_filter) {
    new_filter.reset();
  }
  return {};
}

CheckpointStore::CheckpointStore(std::unique_ptr<State> state) : state_(std::move(state)) {}
CheckpointStore::~CheckpointStore() = default;

Result<std::unique_ptr<CheckpointStore>> CheckpointStore::Open(const std::filesystem::path& groups,
                                                               const std::string& group,
                                                               const EventFilter& filter) {
  CATCHUP_RETURN_IF_ERROR(StartSums());
  const std::filesystem::path folder = groups / group;
  const std::filesystem::path file = folder / kFileName;
  SlotContent wanted = Wanted(group, filter);
  const auto exists = GroupExists(folder, file, group);
  if (!exists.ok()) {
    return exists.status();
  }
  if (!*exists) {
    CATCHUP_RETURN_IF_ERROR(CreateGroup(groups, group, wanted));
  }
  const auto found = Accept(CheckpointFile::Read(file), wanted, file.string());
  if (!found.ok()) {
    return found.status();
  }
  wanted.record = found->content.record;
  std::optional<SlotContent> new_filter;
  if (wanted.record.token > 0 && found->content.filter_digest != wanted.filter_digest) {
    new_filter = wanted;
    wanted.filter_digest = found->content.filter_digest;
    wanted.filter_text = found->content.filter_text;
  }

  const std::filesystem::path fresh = WithSuffix(file, ".new");
  CATCHUP_RETURN_IF_ERROR(CheckpointFile::Write(fresh, MakeImage(wanted, found->desired)));
  CATCHUP_RETURN_IF_ERROR(RenameDurably(fresh, file));
  // The journal belongs to the file replaced. Read() has already played it back if it was hot.
  CATCHUP_RETURN_IF_ERROR(RemoveIfThere(WithSuffix(file, "-journal")));
  CATCHUP_RETURN_IF_ERROR(SyncDirectory(folder));

  auto rows = CheckpointFile::Open(file);
  if (!rows.ok()) {
    return rows.status();
  }
  auto state = std::make_unique<State>();
  state->file = file;
  state->rows = *std::move(rows);
  state->content = std::move(wanted);
  state->desired = found->desired;
  state->warning = found->warning;
  state->new_filter = std::move(new_filter);
  return std::unique_ptr<CheckpointStore>(new CheckpointStore(std::move(state)));
}

Status CheckpointStore::Inspect(const std::filesystem::path& groups, const std::string& group,
                                const EventFilter& filter) {
  // A host that writes may be seen in the middle of it, but not so many times in a row.
  constexpr int kMaxLooks = 3;
  CATCHUP_RETURN_IF_ERROR(StartSums());
  const std::filesystem::path file = groups / group / kFileName;
  const SlotContent wanted = Wanted(group, filter);
  Status status;
  for (int look = 0; look < kMaxLooks; ++look) {
    const auto exists = GroupExists(groups / group, file, group);
    if (!exists.ok() || !*exists) {
      return exists.status();
    }
    status = Accept(CheckpointFile::Peek(file), wanted, file.string()).status();
    if (status.code() != Status::Code::kCorrupt) {
      break;
    }
  }
  return status;
}

const CheckpointRecord& CheckpointStore::record() const { return state_->content.record; }
DesiredState CheckpointStore::desired() const { return state_->desired; }
const std::filesystem::path& CheckpointStore::file() const { return state_->file; }
bool CheckpointStore::filter_changed() const { return state_->new_filter.has_value(); }
const std::string& CheckpointStore::warning() const { return state_->warning; }

Status CheckpointStore::Save(const CheckpointRecord& record) {
  const auto& present = state_->content.record.checkpoint;
  if (present && (!record.checkpoint || *record.checkpoint < *present)) {
    return Status::Invalid(
        state_->file.string() + ": checkpoint " +
        (record.checkpoint ? FormatPosition(*record.checkpoint) : std::string("none")) +
        " lies before the present one, wanted " + FormatPosition(*present) + " or later");
  }
  return Rewind(record);
}

Status CheckpointStore::Rewind(const CheckpointRecord& record) {
  if (record.token != state_->content.record.token) {
    return Status::Denied(state_->file.string() + ": fenced: token " +
                          std::to_string(record.token) + ", wanted " +
                          std::to_string(state_->content.record.token));
  }
  return state_->Write(record);
}

Result<std::uint64_t> CheckpointStore::RaiseToken() {
  CheckpointRecord record = state_->content.record;
  ++record.token;
  CATCHUP_RETURN_IF_ERROR(state_->Write(std::move(record)));
  return state_->content.record.token;
}

Status CheckpointStore::AcceptFilter() {
  return state_->new_filter ? state_->Write(state_->content.record, true) : Status();
}

Status CheckpointStore::TakeBackToken(std::uint64_t token) {
  CheckpointRecord record = state_->content.record;
  if (token == 0 || record.token != token) {
    return Status::Denied(state_->file.string() + ": cannot take back token " +
                          std::to_string(token) + ": the present one is " +
                          std::to_string(record.token));
  }
  --record.token;
  return state_->Write(std::move(record));
}

Status CheckpointStore::SetDesired(DesiredState desired) {
  CATCHUP_RETURN_IF_ERROR(state_->CheckAlive());
  CATCHUP_RETURN_IF_ERROR(
      state_->Judge(state_->rows->UpdateDesired(EncodeDesired(desired, NowTicks()))));
  state_->desired = desired;
  return {};
}

}  // namespace catchup
