#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "host/base/event_size.h"
#include "host/base/status.h"
#include "host/source/client/appender.h"

namespace catchup {

// Writes the events of a file in file order, with as many appends on their way at a time as its
// bounds allow, but never two to one stream: an event whose stream is busy waits, and what comes
// behind it waits too. Consecutive events of one stream go together. So a server that writes in the
// order of arrival holds them in the order of the file; within a stream any server does.
//
// It also finds out what is in the log already, so that each event is there once:
//
// - In a run that goes on with an earlier one (`resume_since`), each stream's end is read before
//   its first append, and appends name the revision they follow. So nothing is written twice,
//   whatever became of the earlier run's last appends and whatever the server remembers.
// - From before that, and so in a fresh run, only an event whose id the file gives can be there.
//   The server recognises it, as far as it remembers; that it did so shows in the answer's
//   position, which is not behind the head that the log had before. Where that head may not be
//   read, such an event counts as written.
//
// One thread. After a failure nothing more is sent: TakeAnswers returns the same failure, and what
// is on its way may still be confirmed.
class EventWriter {
 public:
  // A server's default limit on one append is 1 MiB; staying below it needs no question.
  static constexpr std::uint64_t kMaxBatchBytes = (1u << 20) - 1;
  static constexpr std::size_t kMaxBatchEvents = 1000;
  // On their way at a time: enough that a server's syncs of the disk are shared by many, few enough
  // that each is written within the two seconds that a node allows.
  static constexpr std::size_t kMaxInFlight = 256;
  static constexpr std::uint64_t kMaxInFlightBytes = 8u << 20;
  // Taken and not confirmed. Reading on costs memory only, and lets ends of streams be read early.
  static constexpr std::uint64_t kMaxTakenBytes = 32u << 20;
  static_assert(kMaxBatchBytes < kMaxAppendBytes && kMaxTakenBytes >= kMaxEventBytes);
  static constexpr std::size_t kMaxTakenEvents = 1u << 16;
  // The lines from the first that is not confirmed to the last that was taken: 16 MB of notes.
  static constexpr std::size_t kMaxOpenLines = 1u << 20;
  // Streams that are known; beyond that the idle ones are forgotten, to be asked for again.
  static constexpr std::size_t kMaxStreams = 1u << 20;

  struct Options {
    // Goes on with a run that wrote nothing before this, in 100 ns ticks since 1970.
    std::optional<std::int64_t> resume_since;
  };

  // `appender` must outlive this.
  EventWriter(Appender* appender, const Options& options)
      : appender_(appender), options_(options) {}
  EventWriter(const EventWriter&) = delete;
  EventWriter& operator=(const EventWriter&) = delete;

  // Whether Add may be called: there is room, and no failure.
  bool HasRoom() const;

  // Takes an event that stood at `line`; lines only grow. `given_id`: the file gives the id, so the
  // event may be in the log without this run or the one it goes on with. A single event larger than
  // kMaxBatchBytes goes alone: whether it is too large is the server's word.
  void Add(std::string_view stream, NewEvent event, std::uint64_t line, bool given_id);

  // Sends what may be sent now.
  void Send();

  // Takes the answers that have come. To be followed by Send.
  Status TakeAnswers();

  // Whether nothing is on its way and, unless there was a failure, nothing waits.
  bool idle() const { return requests_.empty() && (waiting_.empty() || !failure_.ok()); }

  // Sends all, and waits until it is confirmed or has failed.
  Status Flush();

  // Events that were written, and those that were found to be there.
  std::uint64_t written() const { return written_; }
  std::uint64_t already_there() const { return already_there_; }
  // The first line that was taken and is not confirmed; those behind it may be.
  std::optional<std::uint64_t> first_open_line() const;

 private:
  struct IdHash {
    std::size_t operator()(const Uuid& id) const { return id.least_significant(); }
  };

  struct Stream;

  struct Taken {
    Stream* stream = nullptr;
    NewEvent event;
    std::uint64_t line = 0;
    std::uint64_t index = 0;  // Counts what was taken.
    bool given_id = false;
  };

  struct Stream {
    std::string_view name;    // The map's own.
    std::size_t waiting = 0;  // Events in waiting_.
    std::vector<Taken> in_flight;
    std::uint64_t bytes_in_flight = 0;
    bool busy = false;       // An append or a question is on its way.
    bool end_known = false;  // When resuming: `there` and `last_revision` are up to date.
    std::optional<std::uint64_t> last_revision;
    std::unordered_set<Uuid, IdHash> there;  // Ids at its end, when resuming.
    bool insists = false;                    // The append on its way names the revision it follows.
    std::size_t alone = 0;    // So many go one by one: the server knew some of them, not others.
    std::uint32_t tries = 0;  // Conflicts in a row, when resuming.
  };

  enum class Kind : std::uint8_t { kAppend, kEnd, kHead };
  struct Request {
    Kind kind{};
    Stream* stream = nullptr;  // Null for the head.
  };

  Stream& StreamOf(std::string_view name);
  void ForgetIdleStreams();
  void AskForEnds();
  void AskForEnd(Stream* stream);
  // Sees to what must be known before the next event can be sent. False if it is not known yet.
  bool Prepare(const Taken& next);
  bool FillAppend(Stream* stream);
  void SendAppend(Stream* stream);
  static bool Fits(const Stream& stream, const Taken& next);

  void TakeAnswer(AppendAnswer answer);
  void TakeEnd(Stream* stream, AppendAnswer answer);
  void TakeHead(AppendAnswer answer);
  void TakeAppended(Stream* stream, const AppendAnswer& answer);
  void TakeConflict(Stream* stream, const AppendAnswer& answer);
  bool WasThere(const Stream& stream, const AppendAnswer& answer) const;
  void Confirm(const Taken& taken);
  void Fail(const Status& status);

  Appender* const appender_;
  const Options options_;
  std::unordered_map<std::string, Stream> streams_;
  std::map<std::uint64_t, Taken> waiting_;  // By index.
  std::deque<Stream*> to_ask_;              // When resuming: new streams.
  std::unordered_map<std::uint64_t, Request> requests_;
  std::uint64_t bytes_in_flight_ = 0;
  std::uint64_t taken_bytes_ = 0;
  std::size_t taken_events_ = 0;

  // The log's head before the first event with an id of the file's own was sent.
  bool head_asked_ = false;
  bool head_known_ = false;
  std::optional<Position> head_;

  // One for each event since the first that is not confirmed.
  struct Open {
    std::uint64_t line = 0;
    bool confirmed = false;
  };
  std::deque<Open> open_;
  std::uint64_t first_index_ = 0;  // Of open_.front().

  std::uint64_t written_ = 0;
  std::uint64_t already_there_ = 0;
  Status failure_;
};

}  // namespace catchup
