#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "host/admin/http.h"
#include "host/admin/letter_query.h"
#include "host/base/status.h"
#include "host/config/reader.h"
#include "host/store/letter_pages.h"
#include "host/store/letter_reader.h"

namespace catchup {

// Where `catchup dlq` finds the letters of a group: the host that runs, through its control socket,
// or for reading, where none runs, the file. Which of them is found out at the first question.
// Blocks; one thread.
//
// Failures: kInvalid for what the caller asked wrongly, an unknown group too; kNotFound: there is
// no such letter; any other tells why it cannot be answered now.
class LetterPlace {
 public:
  // `reading` must outlive it and name a state directory.
  LetterPlace(const ConfigReading& reading, std::string group);

  // As LetterPage, OneLetter, DroppedLetters and HeldTypes (host/store/letter_pages.h).
  Result<std::string> Page(const LetterOptions& options, LetterView view);
  Result<std::string> One(Position id);
  Result<std::string> Dropped();
  Result<std::string> Held();

  // Asks the host to do something: POST with `body`, "{…}", on the group's `path`, as "/park".
  // What it refuses for one letter alone is an answer, too. kUnavailable: none runs.
  Result<std::string> Order(std::string_view path, const std::string& body);

  // The host, or who else has the state directory; empty while nobody does.
  const std::string& note() const { return note_; }

 private:
  using Reading = std::function<Result<std::string>(LetterReader* reader)>;

  Result<std::string> Ask(const HttpRequest& request);
  // By the host, or by `here`.
  Result<std::string> Read(std::string_view rest, const Reading& here);
  Status OpenFile();
  void WarnOfLostLetters(const GroupConfig& group);
  std::string Target(std::string_view rest) const;

  const ConfigReading& reading_;
  const std::string group_;
  std::filesystem::path directory_;
  bool asked_ = false;  // A host has answered once.
  std::optional<LetterReader> reader_;
  std::string note_;
};

// The parts of an answer that is not built anew, so that a letter's bytes stay what they are.
struct LetterPart {
  std::vector<std::string> letters;  // Each a JSON object as it came.
  std::optional<std::string> next;
  std::optional<std::string> count;
};
// Of a page, or of what was dropped or is held. kInvalid: it is none.
Result<LetterPart> SplitPage(std::string_view page);
// A member of an object as it stands there; none where it is missing.
std::optional<std::string> RawMember(std::string_view object, std::string_view name);

}  // namespace catchup
