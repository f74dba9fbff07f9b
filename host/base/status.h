#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "host/base/check.h"

namespace catchup {

// What became of an operation that can fail: a code that callers may branch on and one line of text
// for a person. The text names the thing, what was found and what was wanted.
//
// A value type, cheap when ok. Any thread.
class [[nodiscard]] Status {
 public:
  enum class Code : std::uint8_t {
    kOk,
    kInvalid,       // The input is wrong: a file, an argument, a configuration.
    kNotFound,      // The thing named does not exist.
    kIncompatible,  // Made for another version, or not what its name says.
    kUnavailable,   // Infrastructure: may pass if tried again later.
    kExhausted,     // A bound was reached.
    kCorrupt,       // Stored data does not carry the check sum it was written with.
    kInUse,         // Somebody else owns it.
    kDenied,        // The caller lacks the right.
    kCancelled,     // The caller asked to stop.
    kInternal,      // None of the above; a defect of ours or of a library.
  };

  Status() = default;
  Status(Code code, std::string message) : code_(code), message_(std::move(message)) {}

  static Status Invalid(std::string text) { return {Code::kInvalid, std::move(text)}; }
  static Status NotFound(std::string text) { return {Code::kNotFound, std::move(text)}; }
  static Status Incompatible(std::string text) { return {Code::kIncompatible, std::move(text)}; }
  static Status Unavailable(std::string text) { return {Code::kUnavailable, std::move(text)}; }
  static Status Exhausted(std::string text) { return {Code::kExhausted, std::move(text)}; }
  static Status Corrupt(std::string text) { return {Code::kCorrupt, std::move(text)}; }
  static Status InUse(std::string text) { return {Code::kInUse, std::move(text)}; }
  static Status Denied(std::string text) { return {Code::kDenied, std::move(text)}; }
  static Status Cancelled(std::string text) { return {Code::kCancelled, std::move(text)}; }
  static Status Internal(std::string text) { return {Code::kInternal, std::move(text)}; }

  // `what` followed by the system's text for `error_number`, as in "open /x: Permission denied".
  static Status FromErrno(std::string_view what, int error_number);

  bool ok() const { return code_ == Code::kOk; }
  explicit operator bool() const { return ok(); }
  Code code() const { return code_; }
  const std::string& message() const { return message_; }

  // Whether the same may succeed later without anybody changing what was asked for: a shortage, an
  // outage, somebody else's turn. No verdict on anything.
  bool may_pass() const {
    return code_ == Code::kExhausted || code_ == Code::kUnavailable || code_ == Code::kInUse;
  }

  // The same failure with `prefix` and ": " before its text.
  Status Within(std::string_view prefix) const;

 private:
  Code code_ = Code::kOk;
  std::string message_;
};

// A value, or why there is none.
template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value) : value_(std::move(value)) {}         // NOLINT(google-explicit-constructor)
  Result(Status status) : status_(std::move(status)) {  // NOLINT(google-explicit-constructor)
    CATCHUP_CHECK(!status_.ok());
  }

  bool ok() const { return value_.has_value(); }
  explicit operator bool() const { return ok(); }
  const Status& status() const { return status_; }

  T& value() & {
    CATCHUP_CHECK(value_.has_value());
    return *value_;
  }
  const T& value() const& {
    CATCHUP_CHECK(value_.has_value());
    return *value_;
  }
  T&& value() && {
    CATCHUP_CHECK(value_.has_value());
    return std::move(*value_);
  }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T&& operator*() && { return std::move(*this).value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }

 private:
  std::optional<T> value_;
  Status status_;
};

}  // namespace catchup

// Returns from the enclosing function with the failure of `expression`, if it has one.
#define CATCHUP_RETURN_IF_ERROR(expression)                                        \
  do {                                                                             \
    if (::catchup::Status catchup_status_ = (expression); !catchup_status_.ok()) { \
      return catchup_status_;                                                      \
    }                                                                              \
  } while (false)

// Declares or assigns `declaration` with the value of a Result, or returns from the enclosing
// function with its failure: `CATCHUP_ASSIGN_OR_RETURN(const auto file, Open(path));`. A
// declaration with a comma in it wants an alias. Two statements, so it stands in a block of its own
// below `if`.
#define CATCHUP_ASSIGN_OR_RETURN(declaration, ...) \
  CATCHUP_ASSIGN_OR_RETURN_(CATCHUP_JOIN_(catchup_result_, __LINE__), declaration, __VA_ARGS__)

#define CATCHUP_ASSIGN_OR_RETURN_(result, declaration, ...) \
  auto result = (__VA_ARGS__);                              \
  if (!result.ok()) {                                       \
    return result.status();                                 \
  }                                                         \
  declaration = *std::move(result)
#define CATCHUP_JOIN_(left, right) CATCHUP_JOIN_TEXT_(left, right)
#define CATCHUP_JOIN_TEXT_(left, right) left##right
