#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "host/source/client/read_call.h"
#include "host/source/source.h"

namespace catchup {

// The single questions of a source, each a call that ends with its answer. `address` is for the
// texts of ends. The callback comes once, in the call's OnFinished. Which request goes with which
// question: read_requests.h.

std::shared_ptr<ReadCall> HeadQuestion(std::string address, Source::HeadCallback callback);
std::shared_ptr<ReadCall> EndQuestion(std::string address, Source::PlaceCallback callback);
std::shared_ptr<ReadCall> FirstQuestion(std::string address, Source::FirstCallback callback);
// `behind`: as in the request.
std::shared_ptr<ReadCall> NextQuestion(std::string address, const std::optional<Position>& behind,
                                       Source::PlaceCallback callback);
// `revision`: as in the request.
std::shared_ptr<ReadCall> RevisionQuestion(std::string address, std::uint64_t revision,
                                           Source::RevisionCallback callback);
std::shared_ptr<ReadCall> VersionQuestion(std::string address, Source::VersionCallback callback);

}  // namespace catchup
