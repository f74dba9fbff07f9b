#include "tests/source/embedded/recorded_frames.h"

#include <google/protobuf/util/message_differencer.h>
#include <grpcpp/support/status_code_enum.h>

#include <cstdint>
#include <functional>
#include <set>
#include <vector>

#include "host/base/uuid.h"
#include "host/source/proto/streams.pb.h"

namespace catchup::embedded {
namespace {

namespace wire = event_store::client::streams;

std::string FromHex(const std::string& hex) {
  std::string bytes;
  for (std::size_t i = 0; i + 1 < hex.size(); i += 2) {
    bytes.push_back(static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16)));
  }
  return bytes;
}

// What the head of a message leaves out is filled with this.
constexpr char kFill = 'x';

// ---------------------------------------------------------------------------------------------
// What is allowed to differ, and why. Each entry checks that both sides carry the thing where one
// does, then blanks it, so that its presence and everything around it are still compared.

void BlankCreated(wire::ReadResp::ReadEvent::RecordedEvent* event) {
  auto& properties = *event->mutable_metadata();
  const auto created = properties.find("created");
  if (created != properties.end() && created->second.size() == 17 &&
      created->second.find_first_not_of("0123456789") == std::string::npos) {
    created->second = "ticks";
  }
}

// Records whose ids no recorded request names.
bool HasUnrecordedId(const wire::ReadResp::ReadEvent::RecordedEvent& event) {
  static const std::set<std::string> streams = {
      // There before the recording began.
      "$$$scavenges", "$$$user-admin", "cap-run",
      // Written by a server by itself when a stream is deleted or opened again.
      "$$cap-deleted-soft", "$$cap-links-soft",
      // Appended in a number that a note tells.
      "cap-cancel-noise", "cap-live-burst-s", "cap-slow-consumer-s", "term-restart-noise",
      "kill-restart-noise"};
  return event.metadata().at("type") == "$streamDeleted" ||
         streams.contains(event.stream_identifier().stream_name());
}

void BlankUnrecordedId(wire::ReadResp::ReadEvent::RecordedEvent* event) {
  if (HasUnrecordedId(*event)) {
    if (event->id().structured().most_significant_bits() != 0) {
      event->mutable_id()->mutable_structured()->set_most_significant_bits(1);
      event->mutable_id()->mutable_structured()->set_least_significant_bits(1);
    }
  }
}

struct Allowance {
  const char* what;
  const char* why;
  std::function<void(wire::ReadResp*)> blank;
};

const std::vector<Allowance>& Allowances() {
  static const std::vector<Allowance> table = {
      {"confirmation.subscription_id", "made anew for every subscription",
       [](wire::ReadResp* frame) {
         if (frame->has_confirmation() &&
             ParseUuid(frame->confirmation().subscription_id()).has_value()) {
           frame->mutable_confirmation()->set_subscription_id("uuid");
         }
       }},
      {"checkpoint.timestamp, caught_up.timestamp", "the server's clock",
       [](wire::ReadResp* frame) {
         if (frame->has_checkpoint() && frame->checkpoint().timestamp().seconds() > 0) {
           frame->mutable_checkpoint()->mutable_timestamp()->Clear();
         }
         if (frame->has_caught_up() && frame->caught_up().timestamp().seconds() > 0) {
           frame->mutable_caught_up()->mutable_timestamp()->Clear();
         }
       }},
      {"metadata[created]", "the clock when the event was written",
       [](wire::ReadResp* frame) {
         if (frame->has_event() && frame->event().has_event()) {
           BlankCreated(frame->mutable_event()->mutable_event());
         }
         if (frame->has_event() && frame->event().has_link()) {
           BlankCreated(frame->mutable_event()->mutable_link());
         }
       }},
      {"id of records whose append is not recorded", "chosen by whoever wrote them, at random",
       [](wire::ReadResp* frame) {
         if (frame->has_event() && frame->event().has_event()) {
           BlankUnrecordedId(frame->mutable_event()->mutable_event());
         }
       }},
  };
  return table;
}

template <typename Message>
testing::AssertionResult SameMessage(const std::string& found_bytes,
                                     const std::string& wanted_bytes,
                                     const std::function<void(Message*)>& blank) {
  Message found;
  Message wanted;
  if (!found.ParseFromString(found_bytes) || !wanted.ParseFromString(wanted_bytes)) {
    return testing::AssertionFailure() << "not a " << Message::descriptor()->full_name();
  }
  blank(&found);
  blank(&wanted);
  if (google::protobuf::util::MessageDifferencer::Equals(found, wanted)) {
    return testing::AssertionSuccess();
  }
  return testing::AssertionFailure()
         << "found  " << found.ShortDebugString() << "\nwanted " << wanted.ShortDebugString();
}

}  // namespace

std::string RecordedMessage(const nlohmann::json& line) {
  if (line.contains("hex")) {
    return FromHex(line.at("hex"));
  }
  std::string message = FromHex(line.at("hex_head"));
  std::string tail;
  if (line.at("json").contains("event")) {
    wire::ReadResp::ReadEvent event;
    event.set_commit_position(
        std::stoull(line.at("json").at("event").at("commit_position").get<std::string>()));
    tail = event.SerializeAsString();
  }
  message.append(line.at("len").get<std::size_t>() - message.size() - tail.size(), kFill);
  return message + tail;
}

std::map<std::string, std::string> RecordedTrailers(const nlohmann::json& line) {
  static const std::set<std::string> http_headers = {"content-type", "date", "server",
                                                     "content-length", "grpc-status"};
  std::map<std::string, std::string> trailers;
  for (const auto& [key, value] : line.at("trailers").items()) {
    if (!http_headers.contains(key)) {
      trailers.emplace(key, value.get<std::string>());
    }
  }
  return trailers;
}

bool IsOfTheClient(int code) {
  return code == grpc::StatusCode::CANCELLED || code == grpc::StatusCode::DEADLINE_EXCEEDED ||
         code < 0;
}

testing::AssertionResult SameFrame(const std::string& method, const std::string& found,
                                   const std::string& wanted) {
  if (method == "Read") {
    return SameMessage<wire::ReadResp>(found, wanted, [](wire::ReadResp* frame) {
      for (const Allowance& allowance : Allowances()) {
        allowance.blank(frame);
      }
    });
  }
  // The replies of appends and deletes have no allowance: they are the same bytes.
  if (found == wanted) {
    return testing::AssertionSuccess();
  }
  if (method == "BatchAppend") {
    return SameMessage<wire::BatchAppendResp>(found, wanted, [](auto*) {});
  }
  return SameMessage<wire::AppendResp>(found, wanted, [](auto*) {});
}

}  // namespace catchup::embedded
