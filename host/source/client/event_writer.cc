#include "host/source/client/event_writer.h"

#include <utility>

namespace catchup {

Status EventWriter::Add(std::string_view stream, NewEvent event, std::uint64_t line) {
  const bool fits = batch_.empty() || (stream == stream_ && batch_.size() < kMaxBatchEvents &&
                                       batch_bytes_ + event.size() <= kMaxBatchBytes);
  if (!fits || !failure_.ok()) {
    CATCHUP_RETURN_IF_ERROR(Flush());
  }
  stream_ = stream;
  batch_bytes_ += event.size();
  batch_line_ = line;
  batch_.push_back(std::move(event));
  return {};
}

Status EventWriter::Flush() {
  if (!failure_.ok() || batch_.empty()) {
    return failure_;
  }
  const Result<Appended> appended = appender_->Append(stream_, batch_);
  if (!appended.ok()) {
    failure_ = appended.status();
    return failure_;
  }
  written_ += batch_.size();
  last_line_ = batch_line_;
  batch_.clear();
  batch_bytes_ = 0;
  return {};
}

}  // namespace catchup
