#pragma once

#include <optional>
#include <string>

#include "host/base/status.h"
#include "host/config/config.h"
#include "host/store/letter_store.h"

// What is done to a group's letters in one transaction each, on a thread of the pool.
namespace catchup {

// What the group's configuration asks of its store.
LetterStore::Options StoreOptionsOf(const DeadLettersConfig& letters);

// What became of a letter whose call failed.
struct FailedLetter {
  LetterHead head;  // The state, class and times that it has now.
  LetterCause cause;
  bool infrastructure = false;            // Nothing about the event, so its reason stays.
  std::optional<std::string> retried_by;  // Who had asked for the call.
};

// `written` is the letter's head as it lies there then. Nothing where the letter is gone.
Status WriteFailed(LetterStore* store, const FailedLetter& failed, LetterHead* written);

// A letter that is not there is done with, as after a kill between two commits. `retried_by` as
// above.
Status RemoveHealed(LetterStore* store, Position position,
                    const std::optional<std::string>& retried_by);

// Ends the hold of `type`, or every hold where it is empty.
Status EndHolds(LetterStore* store, const std::string& type);

}  // namespace catchup
