#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "host/source/proto/streams.pb.h"

// One text for each message of the wire, with all that it holds and nothing that differs by nature
// (times, ids of subscriptions): those show as present or not.
namespace catchup::embedded::model {

namespace wire = event_store::client::streams;
namespace shared = event_store::client;

// Printable ASCII as it is, the rest (and the backslash) as \xNN.
std::string Escape(std::string_view bytes);

// The parts of a recorded event, each as text.
struct EventText {
  std::string stream;
  std::string revision;
  std::string position;  // Of commit and prepare alike.
  std::string type;
  std::string content_type;
  std::string id_form;  // "string" or "structured"
  std::string id;
  std::string metadata;
  std::string data;
};

std::string Pair(const std::string& commit, const std::string& prepare);
std::string EventLine(const EventText& event);
// A frame with an event, a link or both; the lines are EventLine's, empty for what is absent.
std::string EventFrame(const std::string& event, const std::string& link,
                       const std::string& commit);
std::string CheckpointFrame(const std::string& position);
// `place`: "position (c,p)", "revision r" or nothing.
std::string CaughtUpFrame(const std::string& place);
// `revision` as text or "no stream"; `position` as Pair's or "none".
std::string SuccessText(const std::string& revision, const std::string& position);
std::string RemovedText(const std::string& position);
constexpr std::string_view kConfirmation = "confirmation";

std::string ToText(const wire::ReadResp& frame);
std::string ToText(const wire::AppendResp& reply);
std::string ToText(const wire::BatchAppendResp& reply);
std::string ToText(const wire::DeleteResp& reply);
std::string ToText(const wire::TombstoneResp& reply);

}  // namespace catchup::embedded::model
