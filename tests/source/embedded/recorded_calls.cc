#include "tests/source/embedded/recorded_calls.h"

#include <iterator>
#include <map>
#include <set>
#include <utility>

namespace catchup::embedded {
namespace {

// Calls on bare HTTP/2. All but slow-consumer have one of them at a time.
constexpr int kBareCall = 0;
// Of slow-consumer, which has three at once: a subscription that does not read for 20 s,
constexpr int kPausedStream = -1;
// one whose client does not read the socket for 30 s,
constexpr int kPausedSocket = -2;
// and a read of the head on the connection of the first, meanwhile.
constexpr int kHeadRead = -3;

// Whose the lines of slow-consumer are, from one line to the next: each call goes on from where it
// was, so that there is no other way to share them out.
const std::map<int, int>& SlowConsumerCalls() {
  static const std::map<int, int> calls_by_first_line = {
      {17, kPausedStream}, {19, kPausedSocket}, {22, kPausedStream}, {28, kHeadRead},
      {31, kPausedSocket}, {43, kHeadRead},     {49, kPausedStream}, {56, kPausedSocket}};
  return calls_by_first_line;
}

}  // namespace

int CallOf(const std::string& scenario, int line_number, const nlohmann::json& line) {
  if (line.at("call").is_number()) {
    return line.at("call").get<int>();
  }
  if (scenario != "slow-consumer") {
    return kBareCall;
  }
  return std::prev(SlowConsumerCalls().upper_bound(line_number))->second;
}

bool IsCutShort(const std::string& scenario, int call) {
  static const std::set<std::pair<std::string, int>> calls = {
      {"sub-position", 4},
      {"sub-position", 5},
      {"sub-page-start", 4},
      {"sub-page-start", 5},
      {"cancel", 2},
      {"cancel", 23},
      {"live-burst", kBareCall},
      {"slow-consumer", kPausedStream},
      // How many events come before a node gives up such a connection is a matter of what the
      // sockets between hold. That it gives it up:
      // SilentClientTest.LosesItsConnectionWhereItAnswersNoPing.
      {"slow-consumer", kPausedSocket}};
  return calls.contains({scenario, call});
}

int EventsLeftOut(const std::string& scenario, int call) {
  static const std::map<std::pair<std::string, int>, int> left_out = {
      {{"metadata-stream", 5}, 1724},
      {{"cancel", 3}, 1995},
      // "then 30001 events in all", of which nine are in the file.
      {{"slow-consumer", kPausedStream}, 29992}};
  const auto found = left_out.find({scenario, call});
  return found == left_out.end() ? 0 : found->second;
}

const UnrecordedEvent& UnrecordedEventOf(const std::string& stream) {
  const auto padding = [](int bytes) {
    return ",\"pad\":\"" + std::string(static_cast<std::size_t>(bytes), 'x') + "\"}";
  };
  static const std::map<std::string, UnrecordedEvent> streams = {
      {"cap-cancel-noise", {"cap-cancel-t", "}"}},
      {"cap-live-burst-s", {"cap-live-burst-t", padding(200)}},
      {"cap-sub-cadence-noise", {"cap-sub-cadence-noise", "}"}},
      {"cap-slow-consumer-s", {"cap-slow-consumer-t", padding(1000)}}};
  return streams.at(stream);
}

}  // namespace catchup::embedded
