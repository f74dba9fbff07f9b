#include "host/base/log_rate.h"

namespace catchup {
namespace {

constexpr std::chrono::seconds kWindow{1};
constexpr std::chrono::milliseconds kBetweenLooks{200};

}  // namespace

bool LogRate::Admit(std::string_view msg, std::string_view group, Time now) {
  std::pair<std::string, std::string> key(msg, group);
  auto found = windows_.find(key);
  if (found == windows_.end()) {
    if (windows_.size() >= kMaxWindows) {
      key = {};
    }
    found = windows_.try_emplace(std::move(key), Window{now}).first;
  }
  Window& window = found->second;
  // A window with an untold count stays until TakeLeftOut() has told it, so none is lost.
  if (now - window.start >= kWindow && window.left_out == 0) {
    window = Window{now};
  }
  if (window.admitted < lines_per_second_) {
    ++window.admitted;
    return true;
  }
  ++window.left_out;
  return false;
}

std::vector<LogRate::LeftOut> LogRate::TakeLeftOut(Time now, bool all) {
  std::vector<LeftOut> told;
  if (!all && now < next_look_) {
    return told;
  }
  next_look_ = now + kBetweenLooks;
  for (auto at = windows_.begin(); at != windows_.end();) {
    const Window& window = at->second;
    if (!all && now - window.start < kWindow) {
      ++at;
      continue;
    }
    if (window.left_out > 0) {
      told.push_back({at->first.first, at->first.second, window.left_out});
    }
    at = windows_.erase(at);
  }
  return told;
}

}  // namespace catchup
