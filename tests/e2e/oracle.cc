#include "tests/e2e/oracle.h"

#include <algorithm>
#include <map>
#include <set>

#include "host/base/str_cat.h"

namespace catchup::e2e {
namespace {

class Judgement {
 public:
  explicit Judgement(const History& history) : history_(history) {
    for (std::size_t i = 0; i < history.log.size(); ++i) {
      events_[history.log[i].place] = i;
    }
  }

  std::vector<std::string> Of() {
    CheckLog();
    CheckCheckpoints();
    CheckAccounted();
    CheckOrder();
    CheckRepeats();
    CheckLetters();
    return std::move(faults_);
  }

 private:
  void Fault(const std::string& what) { faults_.push_back(what); }

  std::string NameOf(Position place) const {
    const auto found = events_.find(place);
    if (found == events_.end()) {
      return FormatPosition(place);
    }
    const LoggedEvent& event = history_.log[found->second];
    return StrCat(event.stream, "@", event.revision, " at ", FormatPosition(place));
  }

  static bool Holds(const Life& life, Position place) {
    return std::any_of(life.letters.begin(), life.letters.end(),
                       [place](const KeptLetter& letter) { return letter.place == place; });
  }

  // The index of the first delivery that applied it; none: never.
  std::optional<std::size_t> FirstApplied(Position place) const {
    for (std::size_t i = 0; i < history_.deliveries.size(); ++i) {
      if (history_.deliveries[i].place == place && history_.deliveries[i].applied) {
        return i;
      }
    }
    return std::nullopt;
  }

  void CheckLog() {
    for (const Delivery& delivery : history_.deliveries) {
      if (!events_.contains(delivery.place)) {
        Fault("log: " + NameOf(delivery.place) + " was delivered and is not in the log");
      }
    }
    std::size_t before = 0;
    for (const Life& life : history_.lives) {
      if (life.deliveries < before || life.deliveries > history_.deliveries.size()) {
        Fault("log: the journal has lost lines");
      }
      before = life.deliveries;
      std::set<Position> seen;
      for (const KeptLetter& letter : life.letters) {
        if (!events_.contains(letter.place)) {
          Fault("log: " + NameOf(letter.place) + " is a letter and is not in the log");
        }
        if (!seen.insert(letter.place).second) {
          Fault("log: " + NameOf(letter.place) + " is a letter twice");
        }
      }
    }
  }

  void CheckCheckpoints() {
    std::optional<Position> before;
    for (const Life& life : history_.lives) {
      if (before && (!life.checkpoint || *life.checkpoint < *before)) {
        Fault("I9: the checkpoint went back from " + FormatPosition(*before) + " to " +
              (life.checkpoint ? FormatPosition(*life.checkpoint) : "none"));
      }
      before = life.reset ? std::nullopt : life.checkpoint;
    }
  }

  void CheckAccounted() {
    for (const LoggedEvent& event : history_.log) {
      const auto applied = FirstApplied(event.place);
      for (std::size_t i = 0; i < history_.lives.size(); ++i) {
        const Life& life = history_.lives[i];
        const bool last = i + 1 == history_.lives.size();
        const bool passed = life.checkpoint && event.place <= *life.checkpoint;
        if ((!passed && !(last && history_.whole)) || Holds(life, event.place) ||
            (applied && *applied < life.deliveries)) {
          continue;
        }
        const bool letter_later = std::any_of(
            history_.lives.begin() + static_cast<std::ptrdiff_t>(i) + 1, history_.lives.end(),
            [&](const Life& later) { return Holds(later, event.place); });
        const std::string where = StrCat(NameOf(event.place), ", life ", i + 1);
        if (applied) {
          Fault("I2: " + where + ": passed before it was applied");
        } else if (letter_later) {
          Fault("I3: " + where + ": passed before its letter was written");
        } else {
          Fault("I1: " + where + ": neither applied nor a letter");
        }
        break;
      }
    }
  }

  void CheckOrder() {
    // By stream: the revisions first called and first applied so far.
    std::map<std::string, std::set<std::uint64_t>> called;
    std::map<std::string, std::set<std::uint64_t>> applied;
    std::map<std::string, std::set<std::uint64_t>> logged;
    for (const LoggedEvent& event : history_.log) {
      logged[event.stream].insert(event.revision);
    }
    const auto skips = [&](const std::set<std::uint64_t>& done, const LoggedEvent& event) {
      return std::any_of(logged[event.stream].begin(), logged[event.stream].end(),
                         [&](std::uint64_t revision) {
                           return revision < event.revision && !done.contains(revision);
                         });
    };
    for (const Delivery& delivery : history_.deliveries) {
      const auto found = events_.find(delivery.place);
      if (found == events_.end()) {
        continue;
      }
      const LoggedEvent& event = history_.log[found->second];
      const bool first = called[event.stream].insert(event.revision).second;
      if (first && skips(called[event.stream], event)) {
        Fault("I4: " + NameOf(event.place) + " was called before an earlier one of its stream");
      }
      if (delivery.applied && applied[event.stream].insert(event.revision).second &&
          history_.by_stream && skips(applied[event.stream], event)) {
        Fault("I4: " + NameOf(event.place) + " was applied before an earlier one of its stream");
      }
    }
  }

  void CheckRepeats() {
    std::size_t begin = 0;
    // Letters whose good call a kill has cut from its end, and events that a kill lets come again
    // and that are letters by then: each may have one more call, whenever its turn comes.
    std::set<Position> owed;
    for (std::size_t i = 0; i < history_.lives.size(); ++i) {
      const Life& life = history_.lives[i];
      const std::size_t end = std::min(life.deliveries, history_.deliveries.size());
      const bool after_kill = i > 0 && history_.lives[i - 1].end == Life::End::kHostKilled;
      std::set<Position> applied;
      for (std::size_t k = 0; k < begin; ++k) {
        if (history_.deliveries[k].applied) {
          applied.insert(history_.deliveries[k].place);
        }
      }
      const std::set<Position> applied_before = applied;
      std::size_t repeats = 0;
      for (std::size_t k = begin; k < end; ++k) {
        const Position place = history_.deliveries[k].place;
        if (i > 0 && !history_.lives[i - 1].reset) {
          const Life& found = history_.lives[i - 1];
          if (found.checkpoint && place <= *found.checkpoint && !Holds(found, place)) {
            Fault("I5: " + NameOf(place) + " came again though the checkpoint had passed it");
          }
        }
        if (history_.deliveries[k].applied && !applied.insert(place).second &&
            owed.erase(place) == 0) {
          ++repeats;
        }
      }
      for (const KeptLetter& letter : life.letters) {
        const bool kept = i > 0 && Holds(history_.lives[i - 1], letter.place);
        if (!kept && applied_before.contains(letter.place)) {
          ++repeats;
          owed.insert(letter.place);
        }
      }
      const bool reset_before = i > 0 && history_.lives[i - 1].reset;
      const std::size_t bound =
          history_.duplicate_bound * (life.runner_deaths + (after_kill ? 1 : 0));
      if (!reset_before && repeats > bound) {
        Fault(StrCat("I5: ", repeats, " events came again in life ", i + 1, ", at most ", bound));
      }
      if (life.end == Life::End::kHostKilled || life.runner_deaths > 0) {
        for (const KeptLetter& letter : life.letters) {
          if (applied.contains(letter.place)) {
            owed.insert(letter.place);
          }
        }
      }
      begin = std::max(begin, end);
    }
  }

  void CheckLetters() {
    if (history_.lives.empty()) {
      return;
    }
    const Life& last = history_.lives.back();
    if (last.end != Life::End::kStopped) {
      return;
    }
    for (const KeptLetter& letter : last.letters) {
      if (history_.outage_only) {
        Fault("I8: " + NameOf(letter.place) + " is a letter still");
      } else if (FirstApplied(letter.place)) {
        Fault("I8: " + NameOf(letter.place) + " is a letter though it is applied");
      }
    }
  }

  const History& history_;
  std::map<Position, std::size_t> events_;  // By place, the index in the log.
  std::vector<std::string> faults_;
};

}  // namespace

std::vector<std::string> Judge(const History& history) { return Judgement(history).Of(); }

}  // namespace catchup::e2e
