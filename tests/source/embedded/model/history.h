#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "tests/source/embedded/model/answer.h"
#include "tests/source/embedded/model/model_log.h"
#include "tests/source/embedded/model/node.h"
#include "tests/source/embedded/model/requests.h"
#include "tests/source/embedded/model/subscription_rules.h"

namespace catchup::embedded::model {

// One random history: every request is made of the log under test and of the model, and the two
// answers are held against each other, frame by frame. Subscriptions stay open over what follows.
class History {
 public:
  // `address` is that of an empty log.
  History(std::uint64_t seed, const std::string& address);

  // Makes `steps` requests, then one that what is still subscribed must show. Returns the first
  // difference, for people; empty if there is none.
  std::string Run(int steps);

  // The statements of measured.h that were met, as text.
  const std::set<std::string>& shown() const { return shown_; }

 private:
  struct Open {
    wire::ReadReq request;
    std::unique_ptr<SubscriptionModel> model;
    std::unique_ptr<test::Subscription> call;
  };

  void Step();
  void StepWrite();
  void StepRead();
  void Append(const std::vector<wire::AppendReq>& messages);
  void Subscribe(const wire::ReadReq& request);
  void CloseSome();
  void ShowLast();

  // Asks the node, unless the model could not decide; true if both gave the same answer.
  template <typename Ask>
  bool Compare(const std::string& request, const Expectation& expected, Ask ask);
  // What a write brings besides its reply: records that a node adds, and frames of subscriptions.
  void Settle();
  void Follow(Open* open);
  // Holds the answer against the model's; notes what it shows, or the difference.
  bool Hold(const std::string& request, const Expectation& expected, const Answer& found);

  std::uint64_t seed_;
  int step_ = 0;
  ModelLog log_;
  Node node_;
  Requests requests_;
  std::vector<Open> open_;
  std::string difference_;
  std::set<std::string> shown_;
};

}  // namespace catchup::embedded::model
