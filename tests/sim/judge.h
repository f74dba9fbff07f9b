#pragma once

#include <cstddef>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "tests/sim/history.h"

namespace catchup::sim {

// One broken promise, and the record that shows it.
struct Violation {
  std::string invariant;  // The rule's name in the list of who found it.
  std::string text;
  std::size_t record = 0;
};

// Goes through a history record by record, and keeps the first violation of each rule.
class Judge {
 public:
  std::vector<Violation> Run() {
    for (at_ = 0; at_ < h_.records.size(); ++at_) {
      Step(h_.records[at_]);
    }
    AtEnd();
    return std::move(violations_);
  }

 protected:
  // `history` must outlive it.
  explicit Judge(const History& history) : h_(history) {}
  virtual ~Judge() = default;

  virtual void Step(const Record& record) = 0;
  virtual void AtEnd() = 0;

  void Broken(const char* rule, std::string text) {
    if (seen_.insert(rule).second) {
      violations_.push_back({rule, std::move(text), at_});
    }
  }

  const History& h_;

 private:
  std::vector<Violation> violations_;
  std::set<std::string> seen_;
  std::size_t at_ = 0;
};

}  // namespace catchup::sim
