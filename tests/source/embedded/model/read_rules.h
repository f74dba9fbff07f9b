#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <regex>
#include <string>
#include <vector>

#include "tests/source/embedded/model/answer.h"
#include "tests/source/embedded/model/model_log.h"
#include "tests/source/embedded/model/wire_text.h"

// What a node answers to reads that end, and what all reads have in common: sections 3.1, 3.4 and
// 3.7 to 3.9 of the notes on the protocol.
namespace catchup::embedded::model {

// The filter of a request, or the one that lets everything through (3.7).
class Filter {
 public:
  explicit Filter(const wire::ReadReq::Options& options);

  bool Passes(const Record& record) const;

 private:
  enum class Subject { kNothing, kStream, kType };
  Subject subject_ = Subject::kNothing;
  std::optional<std::regex> regex_;
  std::vector<std::string> prefixes_;
};

// How records show in the frames of one call.
class FrameWriter {
 public:
  FrameWriter(const ModelLog& log, const wire::ReadReq::Options& options)
      : log_(log),
        resolves_(options.resolve_links()),
        form_(options.uuid_option().has_string() ? "string" : "structured") {}

  // `is_live`: met live, where a malformed link comes without its event (10).
  std::string Event(std::size_t record, bool is_live) const;
  // A link that is to be resolved and names nothing.
  bool IsMalformedLink(const Record& record) const;

 private:
  std::string Line(std::size_t record) const;

  const ModelLog& log_;
  bool resolves_;
  std::string form_;
};

// (0,0) reads from the start, and twice 2^64-1 silently means the end (3.1, 3.4).
bool IsStart(const wire::ReadReq::Options::AllOptions& from);
bool IsEnd(const wire::ReadReq::Options::AllOptions& from);

// The answer to a request that is refused before anything is read; none if it is not.
std::optional<Expectation> Refusal(const wire::ReadReq::Options& options);

// A request with `count`. Positions in it must be ones that the log has shown, or one byte past
// such a one, or far beyond the log.
Expectation Read(const wire::ReadReq& request, const ModelLog& log);

}  // namespace catchup::embedded::model
