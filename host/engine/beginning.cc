#include "host/engine/beginning.h"

#include <fmt/core.h>

#include <string>

#include "host/engine/engine_text.h"
#include "host/engine/letters.h"

namespace catchup {
namespace {

class Beginning {
 public:
  explicit Beginning(EngineParts& parts) : parts_(parts) {}

  void OnReady(const RunnerFacts& ready, Turn& turn);

 private:
  void Begin(std::optional<Position> loaded, Turn& turn);
  void Rejoin(std::optional<Position> loaded, Turn& turn);
  void Rewind(std::optional<Position> to, Turn& turn);

  EngineParts& parts_;
};

void Beginning::OnReady(const RunnerFacts& ready, Turn& turn) {
  if (ready.loaded && !IsPlace(*ready.loaded)) {
    parts_.End(GroupState::kFailed, LoadedNoPlace(*ready.loaded), Lane::Force::kDrain,
               parts_.options.drain_timeout);
  } else if (ready.position_mode && parts_.many) {
    parts_.End(GroupState::kFailed, NeedsOneLane(parts_.seats.size()), Lane::Force::kDrain,
               parts_.options.drain_timeout);
  } else if (!parts_.origin.begun()) {
    parts_.position_mode = ready.position_mode;
    Begin(ready.loaded, turn);
  } else if (ready.position_mode != parts_.position_mode) {
    parts_.BreakContract(std::string("this runner says that the plugin ") +
                         (ready.position_mode ? "keeps" : "does not keep") +
                         " its own position, an earlier one of this group said the opposite");
  } else if (parts_.position_mode) {
    Rejoin(ready.loaded, turn);
  }
}

// Chooses where the group starts.
void Beginning::Begin(std::optional<Position> loaded, Turn& turn) {
  const Origin::Choice choice = Origin::Choose(parts_.start, parts_.position_mode, loaded);
  parts_.origin.Begin(choice);
  if (loaded && parts_.start.filter_changed) {
    parts_.End(
        GroupState::kFailed,
        "the filter of the group has changed, and the plugin's position " +
            FormatPosition(*loaded) +
            " was made with the old one: older events of the new filter would be lost, so wanted "
            "the old filter, or a decision: catchup start with --accept-filter, or catchup reset",
        Lane::Force::kDrain, parts_.options.drain_timeout);
    return;
  }
  if (choice.plugin_behind) {
    turn.Tell(
        Notice::kPluginBehind,
        fmt::format("the plugin's position is behind the group's checkpoint, as after a reset: "
                    "it holds {}, the checkpoint is {}; the plugin's counts, starting from {}",
                    loaded ? FormatPosition(*loaded) : "none",
                    FormatPosition(*parts_.start.checkpoint), Place(choice.place)),
        false, loaded);
    Letters(parts_).RemoveLettersBeyond(choice.place, turn);
  }
  // An event that lies behind the start is no help for finding it.
  const auto& known = parts_.start.last_event;
  const bool helps = known && IsPlace(*known) && known <= choice.place;
  parts_.streams.Clear();
  parts_.ledger.Reset(choice.place, parts_.position_mode, helps ? known : std::nullopt);
  parts_.frontier.Reset(choice.place, parts_.ledger.last_event());
  parts_.witnesses.DropBeyond(choice.place);
  parts_.pacer.Reset(choice.durable, choice.covered);
  if (parts_.position_mode && !parts_.pacer.Covers(choice.place)) {
    // The checkpoint is not where the plugin is; it is for display and lineage, so let it follow.
    parts_.pacer.OnProgress(0, turn.now);
  }
  parts_.link.ConnectAt(turn.now);
}

// A new runner's plugin says where it stands; what it holds is settled, whatever the runner before
// it managed to report.
void Beginning::Rejoin(std::optional<Position> loaded, Turn& turn) {
  const std::optional<Position> stands = Origin::Stands(parts_.start, loaded);
  if (stands != parts_.ledger.stored() && (!stands || !parts_.ledger.SettleAt(*stands))) {
    parts_.origin.Move(stands, loaded ? Origin::Whose::kPlugin : Origin::Whose::kStart);
    Rewind(stands, turn);
  }
}

// The plugin's store is somewhere else than we left it: somebody reset it. It wins.
void Beginning::Rewind(std::optional<Position> to, Turn& turn) {
  turn.Tell(
      Notice::kPluginMoved,
      fmt::format("the plugin's position is not where its last runner left it, as after a reset: "
                  "it holds {}, settled was {}, received {}; starting again from {}",
                  Place(to), Place(parts_.ledger.stored()), Place(parts_.frontier.reached()),
                  Place(to)),
      false, to);
  parts_.link.Cancel(turn);
  parts_.link.Forget();
  const std::optional<Position> event =
      parts_.ledger.last_event() <= to ? parts_.ledger.last_event() : std::nullopt;
  parts_.ledger.Reset(to, parts_.position_mode, event);
  parts_.frontier.Reset(to, event);
  parts_.witnesses.DropBeyond(to);
  Letters(parts_).RemoveLettersBeyond(to, turn);
  parts_.pacer.GoBack(to);
  if (!parts_.pacer.Covers(to)) {
    parts_.pacer.OnProgress(0, turn.now);
  }
  parts_.catch_up.Drop();
  parts_.link.ConnectAt(turn.now);
}

}  // namespace

void BeginOrRejoin(EngineParts& parts, const RunnerFacts& ready, Turn& turn) {
  Beginning(parts).OnReady(ready, turn);
}

}  // namespace catchup
