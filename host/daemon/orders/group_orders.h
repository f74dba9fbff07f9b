#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "host/base/position.h"
#include "host/base/status.h"
#include "host/base/witness.h"
#include "host/config/config.h"
#include "host/daemon/orders/host_control.h"
#include "host/daemon/source/last_good.h"

namespace catchup {

// Commands on what is stored of a group that does not run: by a host between two incarnations, and
// by the command line where no host runs. The caller owns the state directory, whose folder
// `groups` this is. Each is logged and durable when it returns, and can be repeated.
//
// Blocking. Status::may_pass: nothing was changed, try again. kInvalid, kDenied, kNotFound,
// kCorrupt, kIncompatible: refused, with the reason.

// What was done beside, for the operator; may be empty.
using OrderNote = std::string;

// The group is not to run from now on.
Status OrderStop(const std::filesystem::path& groups, const GroupConfig& group);

// It is to run. Refused for a changed filter or a fence that `order` does not decide about.
Result<OrderNote> OrderStart(const std::filesystem::path& groups, const GroupConfig& group,
                             const StartOrder& order, const std::string& by);

// It goes on from `to`; a store that is lost or corrupt is replaced. What a plugin keeps of its own
// position is put there at the next start, before anything is handled. Whatever log it goes on in
// counts as its own from there.
Result<OrderNote> OrderReset(const std::filesystem::path& groups, const GroupConfig& group,
                             const PositionReset& to, const std::string& by);

// The events that the group knows its log by, newest first. kInvalid: there are none.
Result<std::vector<Witness>> WitnessesOf(const std::filesystem::path& groups,
                                         const GroupConfig& group);

// It goes on behind the newest of `witnesses` that its log has, as FindLastGood has found.
// kInvalid: that has none.
Result<OrderNote> OrderResetToLastGood(const std::filesystem::path& groups,
                                       const GroupConfig& group,
                                       const std::vector<Witness>& witnesses, const LastGood& found,
                                       const std::string& by);

// What an operator decides about the letters of a group that does not run; all but kRetry. An event
// that is to be parked must lie behind the checkpoint.
Result<OrderNote> OrderLetters(const std::filesystem::path& groups, const GroupConfig& group,
                               const LetterCommand& order, const std::string& by);

}  // namespace catchup
