#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>

#include "host/source/embedded/log/live_hub.h"
#include "host/source/embedded/log/log_reader.h"
#include "host/source/embedded/wire/frame_encoder.h"
#include "host/source/embedded/wire/read_request.h"
#include "host/source/embedded/wire/rpc_error.h"

namespace catchup::embedded {

// Where the frames of one Read call come from. It is asked for more only when the client has room,
// so a slow reader costs a page of memory and nothing else.
//
// All calls come from one thread, the reader's.
class ReadSource {
 public:
  enum class State {
    kMore,  // Ask again.
    kWait,  // Nothing until `wake` is called.
    kEnd,   // The call ends, with `error` if there is one.
  };
  struct Step {
    State state = State::kMore;
    std::optional<RpcError> error;
  };
  // What a call needs of its surroundings; all must outlive the source.
  struct Context {
    LogReader& reader;
    LiveHub& hub;
    std::size_t live_frames;     // Bound of a live buffer.
    std::uint64_t live_bytes;    // The same, in bytes of events.
    std::function<void()> wake;  // Any thread calls it.
  };

  static std::unique_ptr<ReadSource> Create(ReadPlan plan, Context context);

  virtual ~ReadSource() = default;

  // Appends some frames to `out`, perhaps none. Bounded by kStepBytes and kStepRecords.
  virtual Step Fill(FrameBuffer* out) = 0;

 protected:
  // Enough to keep the transport busy while the next step reads.
  static constexpr std::size_t kStepBytes = 128 * 1024;
  // Some milliseconds of scanning, after which other calls of the thread get their turn.
  static constexpr std::size_t kStepRecords = 4096;

  static Step Fail(RpcError error) { return {State::kEnd, std::move(error)}; }
  static Step FailStorage(const Status& status) {
    return Fail(RpcError::Storage(status.message()));
  }
};

// Where an event was met: read from the log, or on its way from the writer. A node resolves links
// in two ways, which differ for a malformed one.
enum class Met { kInLog, kLive };

// Writes the frame of one event, following it where it is a link and the plan says so.
Status EncodeEvent(const ReadPlan& plan, LogReader& reader, const EventView& event, Met met,
                   FrameBuffer* out);

std::unique_ptr<ReadSource> MakeAllRead(ReadPlan plan, ReadSource::Context context);
std::unique_ptr<ReadSource> MakeStreamRead(ReadPlan plan, ReadSource::Context context);
std::unique_ptr<ReadSource> MakeAllSubscription(ReadPlan plan, ReadSource::Context context);
std::unique_ptr<ReadSource> MakeStreamSubscription(ReadPlan plan, ReadSource::Context context);

}  // namespace catchup::embedded
