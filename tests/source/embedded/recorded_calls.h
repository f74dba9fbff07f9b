#pragma once

#include <nlohmann/json.hpp>
#include <string>

namespace catchup::embedded {

// What the recordings do not say of their calls by themselves. `scenario` is the name of a file
// without its ".jsonl".

// The number of the call that a line is of. On bare HTTP/2 a recording has none: there it is one
// that no other call has. `line_number` counts from 1.
int CallOf(const std::string& scenario, int line_number, const nlohmann::json& line);

// The recorder left this call before it had said all that it had to say. Everything up to there is
// compared; what follows was never recorded.
bool IsCutShort(const std::string& scenario, int call);

// How many events of this call the recorder counted and did not keep.
int EventsLeftOut(const std::string& scenario, int call);

// An event that the recorder wrote without recording it. A note says how many; `{"n":N}` is the
// N-th event of its scenario.
struct UnrecordedEvent {
  std::string type;
  std::string rest;  // Of the data, behind the number.
};
const UnrecordedEvent& UnrecordedEventOf(const std::string& stream);

}  // namespace catchup::embedded
