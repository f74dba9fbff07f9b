#pragma once

#include <grpcpp/grpcpp.h>

#include <cstddef>
#include <map>
#include <string>
#include <vector>

namespace catchup::embedded::model {

// What a call was answered with, as text: every message, then the status and its trailers.
struct Answer {
  std::vector<std::string> frames;
  grpc::StatusCode code = grpc::StatusCode::OK;
  std::string message;
  std::map<std::string, std::string> trailers;
};

// What the model answers. Its text may hold unknowns, and `rule` says where the notes on the
// protocol decide it ("7.2 ..."): their section and, in short, their sentence.
struct Expectation : Answer {
  std::string rule;
  // The statements of measured.h that the answer shows, as text.
  std::vector<std::string> shows;
  // Why the notes do not decide; empty where they do. The request is then not made.
  std::string undecided;
};

// Unknowns: what only the log can say and, once it has, must say for ever. `record` is the index in
// the model's log.
std::string PositionOf(std::size_t record);
std::string IdOf(std::size_t record);
std::string DataOf(std::size_t record);
// Whatever the notes leave open.
std::string Anything();

class ModelLog;

// Holds `found` against `expected` and lets `log` learn what was unknown. False where they differ,
// or where the log says now what it did not say before.
bool Matches(const std::string& expected, const std::string& found, ModelLog* log);
bool Matches(const Answer& expected, const Answer& found, ModelLog* log);

// For people, with unknowns as «p12». Of the log, what «p12» is and where it lies, as far as it is
// known.
std::string Describe(const Answer& answer);
std::string Describe(const ModelLog& log);

}  // namespace catchup::embedded::model
