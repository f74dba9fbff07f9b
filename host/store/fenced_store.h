#pragma once

#include <cstdint>
#include <optional>

#include "host/base/status.h"
#include "host/store/checkpoint_record.h"

namespace catchup {

// Where a group's place is kept, whatever keeps it: a record that is loaded when the store is
// opened and replaced whole by each commit, and a fencing token beside it.
//
// A commit carries the token that its writer was given and is compared with the present one where
// the record lies, in the same step as the write. So a writer that was believed dead, or has lost
// its lease without knowing, changes nothing: neither a lease nor a kill alone can promise that.
//
// How one is opened is each backend's own: `CheckpointStore::Open`, a file, is the only one today.
// Others (PostgreSQL, a KurrentDB stream) are to pass tests/store/fenced_store_test.cc, which says
// in tests what is said here. Dead letters are no part of it: their store (letter_store.h) compares
// the same token by itself.
//
// Every function that returns a Status:
//   kExhausted, kUnavailable  nothing changed; the same may succeed later
//   any other failure         as said with the function; where none is said it is final, the record
//                             is the old or the new one, and every later call fails
//
// Blocking: a commit returns once it is durable. One thread at a time.
class FencedStore {
 public:
  virtual ~FencedStore() = default;

  // The last record committed or loaded.
  virtual const CheckpointRecord& record() const = 0;

  // Whether the configuration's filter is another one than the last run's. For a run only without a
  // checkpoint (opening is refused else) and only once a runner was spawned; the old filter stays
  // until there is a checkpoint, or AcceptFilter() was called.
  virtual bool filter_changed() const = 0;

  // Makes the configuration's filter the recorded one: without a checkpoint, since nothing was
  // handled under the old one, or with one by an operator's word. Before the first event, else a
  // position that the plugin stores meanwhile would count as made with the old filter. Nothing to
  // do if not changed.
  virtual Status AcceptFilter() = 0;

  // Commits `record`. kDenied: its token is not the present one, it is a writer of an earlier
  // spawn. kInvalid: its checkpoint lies before the present one. Neither changes anything.
  virtual Status Save(const CheckpointRecord& record) = 0;

  // As Save(), but the checkpoint may go back or away: an operator's command, or a plugin that
  // keeps its own position and is behind.
  virtual Status Rewind(const CheckpointRecord& record) = 0;

  // Commits the next token, greater than every one before, and returns it. Before each spawn: from
  // then on what an earlier runner reports can be committed by nobody.
  Result<std::uint64_t> RaiseToken() { return RaiseTokenAbove(0); }
  // The same, and greater than `seen`, which the group has given out as something else remembers: a
  // record that was restored from a backup does not.
  virtual Result<std::uint64_t> RaiseTokenAbove(std::uint64_t seen) = 0;

  // The plugin's store has seen token `seen`, which is not ours. The group is not to start again
  // before an operator takes over, or each try would bring our token nearer to the other one.
  virtual Status SetFence(std::uint64_t seen) = 0;

  // What the operator wants of the group from now on.
  virtual Status SetDesired(DesiredState desired) = 0;

  // The last reset, until there is a checkpoint behind it and the plugin has been told.
  virtual const std::optional<ResetOrder>& reset() const = 0;
  // The plugin has been told, or keeps no position.
  virtual Status FinishReset() = 0;

  // Whether the record is still where the next start will look for it, as each commit finds out,
  // too. Final like a failed commit.
  virtual Status CheckStillThere() = 0;
};

}  // namespace catchup
