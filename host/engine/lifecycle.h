#pragma once

#include <string>
#include <string_view>

#include "host/engine/group_state.h"

namespace catchup {

// What is wanted of a group and how it ends, and the state and reason that it shows.
//
// It ends in three steps: somebody asks for it (End), what is under way finishes, and then it has
// ended (Finish), after which nothing changes any more.
class Lifecycle {
 public:
  // What the parts of a group look like.
  struct Signs {
    bool begun = false;      // The place to begin at is chosen.
    bool been_live = false;  // The source has sent something.
    bool caught_up = false;
    const std::string& runner_trouble;  // Empty while there is none; as the next three.
    const std::string& call_trouble;    // Events wait because calls have failed.
    const std::string& store_trouble;
    const std::string& source_trouble;
  };

  void Start() { started_ = true; }

  // The group is to end in `final_state`. A failure takes the place of an end that would have been
  // a good one; of two that are alike the first stays.
  void End(GroupState final_state, std::string reason);

  // Nothing is under way any more.
  void Finish() { finished_ = true; }

  // True: state or reason are others than they were last time.
  bool Report(const Signs& signs);

  bool started() const { return started_; }
  bool ending() const { return ending_; }
  bool finished() const { return finished_; }
  GroupState state() const { return state_; }
  const std::string& reason() const { return reason_; }

  // What is wrong in here; empty when nothing is.
  std::string_view CheckInvariants() const;

 private:
  bool Show(GroupState state, const std::string& reason);

  bool started_ = false;
  bool ending_ = false;
  bool finished_ = false;
  GroupState final_state_ = GroupState::kStopped;  // Once ending_, as the next.
  std::string final_reason_;
  GroupState state_ = GroupState::kIdle;
  std::string reason_;
};

}  // namespace catchup
