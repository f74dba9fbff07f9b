#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "tests/sim/random.h"
#include "tests/source/embedded/model/model_log.h"
#include "tests/source/embedded/model/wire_text.h"

namespace catchup::embedded::model {

// Requests at random over what the log holds at the time, the bad ones included. Streams and types
// are few, so that they meet; positions are ones that the log has shown.
class Requests {
 public:
  Requests(std::uint64_t seed, const ModelLog& log) : random_(seed), log_(log) {}

  sim::Random& random() { return random_; }

  std::vector<wire::AppendReq> Append();
  std::vector<wire::AppendReq> Links();
  std::vector<wire::AppendReq> Metadata();
  std::vector<wire::AppendReq> BadAppend();
  wire::BatchAppendReq BatchAppend();
  wire::DeleteReq Delete();
  wire::TombstoneReq Tombstone();
  wire::ReadReq ReadStream();
  wire::ReadReq ReadAll();
  wire::ReadReq SubscribeToStream();
  wire::ReadReq SubscribeToAll();
  wire::ReadReq BadRead();

  // An append that such a subscription shows whatever else it does; none where nothing does.
  std::optional<std::vector<wire::AppendReq>> ShownBy(const wire::ReadReq& subscription);

 private:
  std::string Stream();
  std::string NewId();
  std::string AnyId(const std::string& stream);
  template <typename Options>
  void SetExpected(const std::string& stream, Options* options);
  // With an id of its own.
  wire::AppendReq Event(const std::string& type, const std::string& data);
  wire::AppendReq Event();
  std::vector<wire::AppendReq> Begin(const std::string& stream);
  std::vector<wire::AppendReq> Repeat(const std::string& stream);
  wire::ReadReq BeginRead();
  void SetFilter(wire::ReadReq::Options* options);
  void SetWindow(wire::ReadReq::Options* options);
  void SetPosition(wire::ReadReq::Options::AllOptions* from);

  template <typename T>
  const T& OneOf(const std::vector<T>& all) {
    return all[random_.Between(0, all.size() - 1)];
  }

  sim::Random random_;
  const ModelLog& log_;
};

}  // namespace catchup::embedded::model
