#pragma once

#include <cstddef>
#include <optional>
#include <string>

#include "tests/source/embedded/model/answer.h"
#include "tests/source/embedded/model/model_log.h"
#include "tests/source/embedded/model/read_rules.h"

// One subscription as a node serves it: sections 3.2 to 3.6 of the notes on the protocol.
namespace catchup::embedded::model {

class SubscriptionModel {
 public:
  // What is in `log` now is what the subscription catches up with. `log` outlives it.
  SubscriptionModel(const wire::ReadReq& request, const ModelLog& log);

  // The frames up to `caught_up`; or all, with the status, if the call ends by itself.
  const Expectation& opening() const { return opening_; }
  bool ends() const { return opening_.code != grpc::StatusCode::OK; }
  // Whether the notes say what follows live: not for one that starts beyond the log or the stream.
  bool can_follow() const { return can_follow_; }

  // The frames for what was written since the opening, or since this was last called.
  Expectation Live();

 private:
  // A place in `$all`: a record's own pair, the start of a page at it, or what was asked for.
  struct Place {
    std::size_t record = 0;
    bool is_page_start = false;
    std::string text;

    bool IsBefore(const Place& other) const {
      return record != other.record ? record < other.record : is_page_start && !other.is_page_start;
    }
  };

  static Place AtRecord(std::size_t record);
  static Place PageAt(std::size_t record);

  void OpenAll();
  void OpenStream();
  // Where a subscription to `$all` starts; none if that is settled otherwise.
  std::optional<Place> StartOfAll();
  void CatchUp(const Place& start);
  // One page from `next_`; false at the end of the log.
  bool ReadPage(const Place& start, const Place& page);
  void SendCheckpoint(const Place& place);
  void FinishCaughtUp(const std::string& place);

  bool IsFiltered() const { return options_.has_filter(); }
  bool IsOfStream() const { return options_.has_stream(); }
  std::size_t Window() const;
  std::size_t Interval() const;

  wire::ReadReq::Options options_;
  const ModelLog& log_;
  Filter filter_;
  FrameWriter writer_;
  Expectation opening_;
  std::size_t next_ = 0;     // The record that comes next.
  std::size_t counter_ = 0;  // Events considered since the last checkpoint that was due.
  std::optional<Place> last_event_;
  std::optional<Place> last_checkpoint_;
  bool can_follow_ = true;
};

}  // namespace catchup::embedded::model
