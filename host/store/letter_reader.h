#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "host/base/sqlite.h"
#include "host/base/status.h"
#include "host/store/letter.h"
#include "host/store/letter_mark.h"

namespace catchup {

// Reads the letters of one group. Without a file there are none. One thread at a time.
//
// Failures of every function: kCorrupt for a row or a file that is not what was written, with the
// way out; kExhausted and kUnavailable for what may pass; kInternal for a disk that has failed.
class LetterReader {
 public:
  // Opens the letters of a group whose host does not run, by its folder, and changes nothing there.
  // kInUse: a host has the file open. kIncompatible: another format, or the file of another group.
  static Result<LetterReader> Open(const std::filesystem::path& folder, const std::string& group);

  // Over a connection that another object owns and that outlives this; null: no letters.
  LetterReader(Connection* connection, std::filesystem::path folder)
      : connection_(connection), folder_(std::move(folder)) {}

  Result<LetterTotals> Count();

  // Letters, followers among them, behind `after` (none: all).
  Result<std::uint64_t> CountBehind(std::optional<Position> after);

  // Which file it is and how far it has come, for CheckKnown.
  Result<FoundLetters> Mark();

  // Every letter's head in the order of the positions, from the small table alone: for a start.
  // Letters may be neither written nor removed meanwhile.
  using SeeHead = std::function<void(const LetterHead& head)>;
  Status Scan(const SeeHead& see);

  using SeeHold = std::function<void(const LetterHold& hold)>;
  Status ScanHolds(const SeeHold& see);

  using SeePark = std::function<void(const LetterPark& park)>;
  Status ScanParks(const SeePark& see);

  // Shows the last letters that were dropped, the newest first; and finds that of one position.
  using SeeDrop = std::function<void(const LetterDrop& drop)>;
  Status ScanDrops(const SeeDrop& see);
  Result<std::optional<LetterDrop>> FindDrop(Position position);

  // The letters meant, in the order of the positions. `see` may read other letters.
  using SeeLetter = std::function<Status(const LetterHead& head, const LetterCause& cause)>;
  Status List(const LetterFilter& filter, const SeeLetter& see);

  // The position of the letter that lies `rows` behind `after` (none: the first of them); none
  // where there are fewer. Bounds what a List looks at.
  Result<std::optional<Position>> PlaceBehind(std::optional<Position> after, std::uint64_t rows);

  // One letter, whole. None: there is no such letter.
  Result<std::optional<Letter>> Read(Position position);

  // The first letter of a stream, and the one behind `after`. None: no more.
  Result<std::optional<LetterHead>> FirstOf(std::string_view stream);
  Result<std::optional<LetterHead>> NextOf(std::string_view stream, Position after);

 private:
  Result<std::optional<LetterHead>> OneOf(Statement statement);
  Status Failure(const Status& status) const;
  Status Told(const Status& status) const;

  std::unique_ptr<Connection> own_;
  Connection* connection_;
  std::filesystem::path folder_;
  std::optional<Statement> read_;  // Of ReadLetter.
};

}  // namespace catchup
