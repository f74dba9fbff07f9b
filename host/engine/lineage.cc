#include "host/engine/lineage.h"

#include <fmt/core.h>

#include <algorithm>
#include <iterator>
#include <utility>

#include "host/base/uuid.h"
#include "host/engine/engine_text.h"

namespace catchup {

std::string_view LineageFaultName(LineageFault fault) {
  switch (fault) {
    case LineageFault::kRegressed:
      return "regressed";
    case LineageFault::kDiverged:
      return "diverged";
    case LineageFault::kNone:
      break;
  }
  return "none";
}

// --- Witnesses. ---

void Witnesses::Load(const std::vector<Witness>& stored) {
  known_.clear();
  added_ = false;
  for (const Witness& witness : stored) {
    known_.push_back(std::make_shared<const Witness>(witness));
  }
}

void Witnesses::Add(Witness handled) {
  if (!known_.empty() && handled.position <= known_.front()->position) {
    return;
  }
  KnownWitness fresh = std::make_shared<const Witness>(std::move(handled));
  if (added_) {
    known_.front() = std::move(fresh);
  } else {
    known_.insert(known_.begin(), std::move(fresh));
    added_ = true;
  }
}

void Witnesses::DropBeyond(const std::optional<Position>& place) {
  const std::size_t before = known_.size();
  known_.erase(std::remove_if(known_.begin(), known_.end(),
                              [&](const KnownWitness& one) { return one->position > place; }),
               known_.end());
  added_ = added_ && known_.size() == before;
}

std::vector<KnownWitness> Witnesses::UpTo(const std::optional<Position>& place) const {
  std::vector<KnownWitness> known;
  std::copy_if(known_.begin(), known_.end(), std::back_inserter(known),
               [&](const KnownWitness& one) { return one->position <= place; });
  return known;
}

// --- Lineage. ---

void Lineage::Begin(std::vector<KnownWitness> witnesses, bool foreign) {
  witnesses_ = std::move(witnesses);
  next_ = 0;
  foreign_ = foreign;
  proved_ = nullptr;
  refuted_.clear();
  silent_ = 0;
  question_ = witnesses_.empty() ? Question::kNone : Question::kPlace;
}

void Lineage::OnRecord(const std::optional<FirstRecord>& first) {
  if (question_ != Question::kPlace) {
    return;
  }
  Take(Judge(*witness(), first),
       first ? fmt::format("event {} lies at {}", FormatUuid(first->event_id),
                           FormatPosition(first->position))
             : std::string());
}

void Lineage::OnRevision(const StreamRevision& found) {
  if (question_ != Question::kStream) {
    return;
  }
  const std::string at =
      fmt::format("revision {} of stream {}", witness()->revision, QuotedName(witness()->stream));
  Take(Judge(*witness(), found), found.kind == StreamRevision::Kind::kEvent
                                     ? fmt::format("{} is event {}", at, FormatUuid(found.event_id))
                                     : fmt::format("there is no {}, which ends before it", at));
}

void Lineage::OnInvalidPlace(const std::string& text) {
  if (question_ == Question::kPlace) {
    Refute("no event can lie there (" + OneLine(text) + ")");
    AskNext();
  }
}

void Lineage::Take(Testimony testimony, const std::string& instead) {
  switch (testimony) {
    case Testimony::kProved:
      proved_ = witness();
      question_ = Question::kNone;
      return;
    case Testimony::kRefuted:
      Refute(instead);
      break;
    case Testimony::kAskStream:
      question_ = Question::kStream;
      return;
    case Testimony::kNone:
      silent_ += refuted_.empty() && !foreign_ ? 1 : 0;
      break;
  }
  AskNext();
}

// The newest one that is contradicted is what is told.
void Lineage::Refute(const std::string& instead) {
  if (refuted_.empty()) {
    refuted_ =
        fmt::format("event {} lay at {}, and in this log {}", FormatUuid(witness()->event_id),
                    FormatPosition(witness()->position), instead);
  }
}

void Lineage::AskNext() {
  ++next_;
  question_ = next_ < witnesses_.size() ? Question::kPlace : Question::kNone;
}

}  // namespace catchup
