#pragma once

#include <filesystem>
#include <memory>
#include <span>
#include <string>

#include "host/base/status.h"
#include "host/base/unique_fd.h"
#include "host/store/letter_steps.h"

namespace catchup {

// Where the steps of letters go besides the store. For one thread at a time, but for Cancel().
class LetterSink {
 public:
  virtual ~LetterSink() = default;

  // Returns once all of `steps`, which are in order, are durable there. After a failure some may be
  // there: all of them come again. Blocks for as long as a disk or a server takes.
  virtual Status Deliver(std::span<const LetterStep> steps) = 0;

  // There is nothing to deliver for now: what costs something while it is idle may go.
  virtual void Rest() {}

  // Has a delivery under way, and every later one, end soon where it waits for others. Any thread.
  virtual void Cancel() {}
};

// "jsonl:FILE": one JSON object a line. The file is opened for each delivery, so it may be moved
// away or cut at any time; a missing one is made (0640), its folder must be there. Holds whole
// lines only: what an earlier delivery has left of one is cut off. Several groups, of several hosts
// too, may share one: it is locked (flock) during each delivery, and each line names its group.
class LineSink : public LetterSink {
 public:
  explicit LineSink(std::filesystem::path file) : file_(std::move(file)) {}

  Status Deliver(std::span<const LetterStep> steps) override;

 private:
  Result<UniqueFd> Open() const;
  Status Lock(int fd) const;
  // Makes the end of the file the end of a line, and returns where that is.
  Result<off_t> MendEnd(int fd) const;

  std::filesystem::path file_;
};

}  // namespace catchup
