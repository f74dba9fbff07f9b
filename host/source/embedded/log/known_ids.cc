#include "host/source/embedded/log/known_ids.h"

#include "host/base/check.h"
#include "host/source/embedded/log/record.h"

namespace catchup::embedded {
namespace {

std::size_t HashOf(std::string_view stream) { return std::hash<std::string_view>()(stream); }

}  // namespace

Status KnownIds::Prepare() {
  if (!is_loaded_) {
    return Load();
  }
  if (order_.size() < in_memory_) {
    return {};
  }
  // One transaction may have added many times what fits.
  return Move(order_[order_.size() - in_memory_ / 2 - 1].second);
}

Status KnownIds::Load() {
  CATCHUP_RETURN_IF_ERROR(ReadEndInFile());
  CATCHUP_ASSIGN_OR_RETURN(const std::uint64_t end, MoveWhatDoesNotFit());
  CATCHUP_ASSIGN_OR_RETURN(
      Statement newest,
      connection_.Prepare(
          "SELECT id, stream, revision, position FROM records "
          "WHERE position > ?1 AND revision IS NOT NULL AND length(id) = 16 ORDER BY position"));
  newest.Bind(1, static_cast<std::int64_t>(end));
  while (true) {
    CATCHUP_ASSIGN_OR_RETURN(const bool row, newest.Step());
    if (!row) {
      break;
    }
    Uuid id;
    newest.Bytes(0).copy(reinterpret_cast<char*>(id.bytes.data()), id.bytes.size());
    Remember(id,
             {HashOf(newest.Bytes(1)), {newest.Int(2), static_cast<std::uint64_t>(newest.Int(3))}});
  }
  is_loaded_ = true;
  return {};
}

Status KnownIds::ReadEndInFile() {
  end_in_file_ = 0;
  CATCHUP_ASSIGN_OR_RETURN(
      const std::int64_t tables,
      connection_.QueryInt(
          "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = 'old_ids_end'"));
  if (tables != 0) {
    CATCHUP_ASSIGN_OR_RETURN(const std::int64_t end,
                             connection_.QueryInt("SELECT max(position) FROM old_ids_end"));
    end_in_file_ = static_cast<std::uint64_t>(end);
  }
  return {};
}

Result<std::uint64_t> KnownIds::MoveWhatDoesNotFit() {
  CATCHUP_ASSIGN_OR_RETURN(
      Statement first_too_many,
      connection_.Prepare(
          "SELECT position FROM records WHERE position > ?1 AND revision IS NOT NULL "
          "ORDER BY position DESC LIMIT 1 OFFSET ?2"));
  first_too_many.Bind(1, static_cast<std::int64_t>(end_in_file_));
  first_too_many.Bind(2, static_cast<std::int64_t>(in_memory_));
  CATCHUP_ASSIGN_OR_RETURN(const bool row, first_too_many.Step());
  if (!row) {
    return end_in_file_;
  }
  const auto end = static_cast<std::uint64_t>(first_too_many.Int(0));
  first_too_many.Reset();
  CATCHUP_RETURN_IF_ERROR(Move(end));
  loaded_behind_move_ = true;
  return end;
}

Status KnownIds::Move(std::uint64_t end) {
  CATCHUP_RETURN_IF_ERROR(connection_.Execute(
      "CREATE TABLE IF NOT EXISTS old_ids (id BLOB PRIMARY KEY, position INTEGER) WITHOUT ROWID;"
      "CREATE TABLE IF NOT EXISTS old_ids_end (position INTEGER)"));
  // The rows come in the order of the table, so that each of its pages is written once.
  CATCHUP_ASSIGN_OR_RETURN(
      Statement insert,
      connection_.Prepare(
          "INSERT OR REPLACE INTO old_ids (id, position) SELECT id, position FROM records "
          "WHERE position > ?1 AND position <= ?2 AND revision IS NOT NULL AND length(id) = 16 "
          "ORDER BY id, position"));
  CATCHUP_ASSIGN_OR_RETURN(
      Statement set_end,
      connection_.Prepare("INSERT OR REPLACE INTO old_ids_end (rowid, position) VALUES (1, ?1)"));
  insert.Bind(1, static_cast<std::int64_t>(end_in_file_));
  insert.Bind(2, static_cast<std::int64_t>(end));
  CATCHUP_RETURN_IF_ERROR(insert.Run());
  set_end.Bind(1, static_cast<std::int64_t>(end));
  CATCHUP_RETURN_IF_ERROR(set_end.Run());
  moved_end_ = end;
  return {};
}

void KnownIds::Add(const Uuid& id, std::string_view stream, Place place) {
  added_.insert_or_assign(id, Entry{HashOf(stream), place});
  added_order_.emplace_back(id, place.position);
}

Result<std::optional<KnownIds::Place>> KnownIds::Find(const Uuid& id, std::string_view stream) {
  auto found = added_.find(id);
  if (found == added_.end()) {
    found = places_.find(id);
    if (found == places_.end()) {
      return FindInFile(id, stream);
    }
  }
  if (found->second.stream != HashOf(stream)) {
    return std::optional<Place>();
  }
  return std::optional(found->second.place);
}

Result<std::optional<KnownIds::Place>> KnownIds::FindInFile(const Uuid& id,
                                                            std::string_view stream) {
  // What moved in this transaction after the memory was loaded is still in memory.
  if (end_in_file_ == 0 && !loaded_behind_move_) {
    return std::optional<Place>();
  }
  if (!find_in_file_) {
    CATCHUP_ASSIGN_OR_RETURN(
        Statement find,
        connection_.Prepare("SELECT stream, revision, position FROM records "
                            "WHERE position = (SELECT position FROM old_ids WHERE id = ?1)"));
    find_in_file_ = std::move(find);
  }
  find_in_file_->BindBlob(1, IdBytes(id));
  const ResetAtEnd reset(*find_in_file_);
  CATCHUP_ASSIGN_OR_RETURN(bool row, find_in_file_->Step());
  if (!row || find_in_file_->Bytes(0) != stream) {
    return std::optional<Place>();
  }
  return std::optional(
      Place{find_in_file_->Int(1), static_cast<std::uint64_t>(find_in_file_->Int(2))});
}

void KnownIds::Remember(const Uuid& id, const Entry& entry) {
  places_.insert_or_assign(id, entry);
  order_.emplace_back(id, entry.place.position);
}

void KnownIds::ForgetUpTo(std::uint64_t end) {
  for (; !order_.empty() && order_.front().second <= end; order_.pop_front()) {
    const auto found = places_.find(order_.front().first);
    // An id written again later is known by its newest place.
    if (found != places_.end() && found->second.place.position <= end) {
      places_.erase(found);
    }
  }
}

void KnownIds::Keep() {
  if (moved_end_) {
    end_in_file_ = *moved_end_;
    ForgetUpTo(end_in_file_);
  }
  for (const auto& [id, position] : added_order_) {
    const auto newest = added_.find(id);
    CATCHUP_CHECK(newest != added_.end());
    places_.insert_or_assign(id, newest->second);
    order_.emplace_back(id, position);
  }
  moved_end_.reset();
  loaded_behind_move_ = false;
  added_.clear();
  added_order_.clear();
}

void KnownIds::Drop() {
  if (loaded_behind_move_ || !is_loaded_) {
    // The memory holds what lies behind a move that never was, or a part of it.
    is_loaded_ = false;
    places_.clear();
    order_.clear();
  }
  moved_end_.reset();
  loaded_behind_move_ = false;
  added_.clear();
  added_order_.clear();
}

}  // namespace catchup::embedded
