// What operators decide about a group's letters, on its way to the disk.
#include <memory>
#include <string>
#include <utility>

#include "host/daemon/letters/letter_side.h"

namespace catchup {
void LetterSide::Find(Position position, Found done) {
  const auto found = std::make_shared<Result<LetterHead>>(Status::NotFound(""));
  jobs_.Read(
      [group = config_.name, position, found](LetterReader* reader) -> Status {
        CATCHUP_ASSIGN_OR_RETURN(auto letter, reader->Read(position));
        *found = letter ? Result<LetterHead>(std::move(letter->head))
                        : Status::NotFound(NoLetterText(group, position));
        return {};
      },
      [found, done = std::move(done)] { done(*found); });
}

// It may make the room that others wait for.
void LetterSide::Drop(Position position, const std::string& reason, const std::string& by,
                      Found done) {
  const auto dropped = std::make_shared<Result<LetterHead>>(Status::NotFound(""));
  Job job;
  job.alone = true;
  job.step = [group = config_.name, position, reason, by, dropped](LetterStore* store) -> Status {
    CATCHUP_ASSIGN_OR_RETURN(auto letter, store->reader().Read(position));
    if (!letter) {
      *dropped = Status::NotFound(NoLetterText(group, position));
      return {};
    }
    CATCHUP_RETURN_IF_ERROR(store->Drop(store->token(), position, reason, by));
    *dropped = std::move(letter->head);
    return {};
  };
  job.done = [this, position, dropped, done = std::move(done)] {
    retried_by_.erase(position);
    read_ahead_.erase(position);
    done(*dropped);
  };
  jobs_.Add(std::move(job));
}

void LetterSide::SetPark(const LetterPark& park, std::function<void()> done) {
  park_reasons_[park.position] = park.reason;
  AddStep([park](LetterStore* store) { return store->SetPark(store->token(), park); },
          std::move(done));
}

void LetterSide::EndPark(Position position) {
  park_reasons_.erase(position);
  AddStep([position](LetterStore* store) { return store->EndPark(position); }, nullptr);
}

void LetterSide::ExplainHold(const std::string& type, const std::string& reason) {
  hold_reasons_[type] = reason;
}

void LetterSide::Sync(std::function<void()> done) {
  AddStep([](LetterStore*) { return Status(); }, std::move(done));
}

void LetterSide::AddStep(std::function<Status(LetterStore*)> step, std::function<void()> done) {
  Job job;
  job.step = std::move(step);
  job.done = std::move(done);
  jobs_.Add(std::move(job));
}

}  // namespace catchup
