#pragma once

#include <grpcpp/grpcpp.h>

#include <memory>
#include <string>
#include <vector>

#include "tests/source/embedded/log_client.h"
#include "tests/source/embedded/model/answer.h"
#include "tests/source/embedded/model/wire_text.h"

namespace catchup::embedded::model {

// The log under test, asked over real gRPC; its answers as text.
class Node {
 public:
  explicit Node(const std::string& address) : client_(address) {}
  ~Node();
  Node(const Node&) = delete;
  Node& operator=(const Node&) = delete;

  Answer Append(const std::vector<wire::AppendReq>& messages);
  // All over one call, one at a time.
  Answer BatchAppend(const wire::BatchAppendReq& request);
  Answer Delete(const wire::DeleteReq& request);
  Answer Tombstone(const wire::TombstoneReq& request);
  // To the end of the call.
  Answer Read(const wire::ReadReq& request);

  // The record that a read shows last: its stream and revision; empty if there is none.
  std::string Head();

  test::LogClient& client() { return client_; }

 private:
  test::LogClient client_;
  grpc::ClientContext batch_context_;
  std::unique_ptr<grpc::ClientReaderWriter<wire::BatchAppendReq, wire::BatchAppendResp>> batch_;
};

}  // namespace catchup::embedded::model
