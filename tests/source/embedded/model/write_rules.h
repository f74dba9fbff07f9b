#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "tests/source/embedded/model/answer.h"
#include "tests/source/embedded/model/model_log.h"
#include "tests/source/embedded/model/wire_text.h"

// What a node answers to appends, deletes and tombstones, and what it writes for them:
// sections 2.4, 2.5, 3.8, 4.2 and 7 of the notes on the protocol.
namespace catchup::embedded::model {

// An expected revision: 0 and up is one itself, the others are as trailers show them (7.1).
constexpr std::int64_t kNoStream = -1;
constexpr std::int64_t kAny = -2;
constexpr std::int64_t kStreamExists = -4;

// What a node holds an append to, apart from what is in its events.
struct Proposal {
  std::string stream;
  std::int64_t expected = kAny;
  std::vector<Record> events;  // Their revisions are not set.
};

struct Decision {
  enum class Kind { kWrite, kRepeat, kConflict, kDeleted, kUndecided };
  Kind kind = Kind::kWrite;
  std::string why;                 // The rule, or what is not decided.
  std::int64_t last_revision = 0;  // kRepeat: of the last of the events that are there already.
};
Decision Decide(const ModelLog& log, const Proposal& proposal);

// A request that gets as far as a decision changes `log`, unless the answer is undecided.
Expectation Append(const std::vector<wire::AppendReq>& messages, ModelLog* log);
// One append in one message.
Expectation BatchAppend(const wire::BatchAppendReq& request, ModelLog* log);
Expectation Delete(const wire::DeleteReq& request, ModelLog* log);
Expectation Tombstone(const wire::TombstoneReq& request, ModelLog* log);

// The answers that are an error, here and to reads.
Expectation StreamDeleted(const std::string& stream, const std::string& rule);
Expectation InvalidArgument(const std::string& message, const std::string& rule);
// An exception that a node does not handle.
Expectation Unhandled(const std::string& rule);
Expectation Undecided(const std::string& why);

}  // namespace catchup::embedded::model
