#pragma once

#include <cstdint>
#include <future>
#include <optional>
#include <string>

#include "host/source/source.h"

// The questions of a source, for a test that waits for the answer.
namespace catchup {

inline Answer<std::optional<FirstRecord>> AskFirst(Source* source, Position from) {
  std::promise<Answer<std::optional<FirstRecord>>> first;
  source->ReadFirst(from, [&](const auto& answer) { first.set_value(answer); });
  return first.get_future().get();
}

inline Answer<std::optional<Position>> AskNext(Source* source, std::optional<Position> behind,
                                               const EventFilter& filter) {
  std::promise<Answer<std::optional<Position>>> next;
  source->ReadNext(behind, filter, [&](const auto& answer) { next.set_value(answer); });
  return next.get_future().get();
}

inline Answer<StreamRevision> AskRevision(Source* source, const std::string& stream,
                                          std::uint64_t revision) {
  std::promise<Answer<StreamRevision>> found;
  source->ReadRevision(stream, revision, [&](const auto& answer) { found.set_value(answer); });
  return found.get_future().get();
}

inline Answer<std::optional<Position>> AskEnd(Source* source) {
  std::promise<Answer<std::optional<Position>>> end;
  source->ReadEnd([&](const auto& answer) { end.set_value(answer); });
  return end.get_future().get();
}

inline Answer<std::string> AskVersion(Source* source) {
  std::promise<Answer<std::string>> version;
  source->ReadVersion([&](const auto& answer) { version.set_value(answer); });
  return version.get_future().get();
}

}  // namespace catchup
