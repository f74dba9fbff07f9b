#include "host/daemon/last_good.h"

#include <cstddef>
#include <memory>
#include <utility>

namespace catchup {
namespace {

// Lives as long as a question of its is open.
class Search : public std::enable_shared_from_this<Search> {
 public:
  Search(Source* source, std::vector<Witness> witnesses, LastGoodFound found)
      : source_(*source), witnesses_(std::move(witnesses)), found_(std::move(found)) {}

  void Ask() {
    if (at_ == witnesses_.size()) {
      found_(std::optional<Witness>());
      return;
    }
    source_.ReadFirst(witnesses_[at_].position,
                      [self = shared_from_this()](const auto& first) { self->OnFirst(first); });
  }

 private:
  void OnFirst(const Answer<std::optional<FirstRecord>>& first) {
    if (first.ok()) {
      Conclude(Judge(witnesses_[at_], *first));
    } else if (first.end().kind == EndClass::kInvalidPosition) {
      Conclude(Testimony::kRefuted);
    } else {
      found_(first.end());
    }
  }

  void OnRevision(const Answer<StreamRevision>& revision) {
    if (revision.ok()) {
      Conclude(Judge(witnesses_[at_], *revision));
    } else {
      found_(revision.end());
    }
  }

  void Conclude(Testimony testimony) {
    const Witness& witness = witnesses_[at_];
    switch (testimony) {
      case Testimony::kProved:
        found_(std::optional(witness));
        break;
      case Testimony::kAskStream:
        source_.ReadRevision(
            witness.stream, witness.revision,
            [self = shared_from_this()](const auto& found) { self->OnRevision(found); });
        break;
      case Testimony::kRefuted:
      case Testimony::kNone:
        ++at_;
        Ask();
        break;
    }
  }

  Source& source_;
  const std::vector<Witness> witnesses_;
  const LastGoodFound found_;
  std::size_t at_ = 0;
};

}  // namespace

void FindLastGood(Source* source, std::vector<Witness> witnesses, LastGoodFound found) {
  std::make_shared<Search>(source, std::move(witnesses), std::move(found))->Ask();
}

}  // namespace catchup
