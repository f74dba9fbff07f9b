#include "host/daemon/source/last_good.h"

#include <memory>
#include <utility>

#include "host/engine/lineage.h"

namespace catchup {
namespace {

// Lives as long as a question of its is open.
class Search : public std::enable_shared_from_this<Search> {
 public:
  Search(Source* source, const std::vector<Witness>& witnesses, LastGoodFound found)
      : source_(*source), found_(std::move(found)) {
    Witnesses known;
    known.Load(witnesses);
    lineage_.Begin(known.UpTo(kEndOfLog), true);
  }

  void Ask() {
    switch (lineage_.question()) {
      case Lineage::Question::kNone:
        Conclude();
        break;
      case Lineage::Question::kPlace:
        source_.ReadFirst(lineage_.witness()->position,
                          [self = shared_from_this()](const auto& first) { self->OnFirst(first); });
        break;
      case Lineage::Question::kStream:
        source_.ReadRevision(
            lineage_.witness()->stream, lineage_.witness()->revision,
            [self = shared_from_this()](const auto& found) { self->OnRevision(found); });
        break;
    }
  }

 private:
  void OnFirst(const Answer<std::optional<FirstRecord>>& first) {
    if (first.ok()) {
      lineage_.OnRecord(*first);
    } else if (first.end().kind == EndClass::kInvalidPosition) {
      lineage_.OnInvalidPlace(first.end().text);
    } else {
      found_(first.end());
      return;
    }
    Ask();
  }

  void OnRevision(const Answer<StreamRevision>& revision) {
    if (!revision.ok()) {
      found_(revision.end());
      return;
    }
    lineage_.OnRevision(*revision);
    Ask();
  }

  void Conclude() {
    LastGood good{.event = {}, .refuted = lineage_.refuted()};
    if (lineage_.proved() != nullptr) {
      good.event = *lineage_.proved();
    }
    found_(good);
  }

  Source& source_;
  Lineage lineage_;
  const LastGoodFound found_;
};

}  // namespace

void FindLastGood(Source* source, const std::vector<Witness>& witnesses, LastGoodFound found) {
  std::make_shared<Search>(source, witnesses, std::move(found))->Ask();
}

}  // namespace catchup
