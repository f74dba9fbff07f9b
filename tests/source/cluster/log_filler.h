#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <string>

#include "host/source/embedded/log_server.h"

namespace catchup {

// Writes records of a node's own into a log that no client has written to yet, so that those behind
// them lie where a recorded node's lie: each record takes the bytes that a node's takes.
class LogFiller {
 public:
  explicit LogFiller(embedded::EmbeddedServer* log, std::uint64_t end = kFirstRecord)
      : log_(*log), end_(end) {}

  void Write(const std::string& stream, const std::string& type, const std::string& data) {
    ASSERT_TRUE(log_.Seed(stream, type, data).ok());
    end_ += Size(stream, type) + data.size();
  }

  // `records` more, behind which the log ends at `position`.
  void FillTo(const std::string& stream, const std::string& type, std::uint64_t position,
              std::uint64_t records = 1) {
    for (; records > 0; --records) {
      const std::uint64_t bytes = (position - end_) / records;
      ASSERT_GE(bytes, Size(stream, type));
      Write(stream, type, std::string(bytes - Size(stream, type), ' '));
    }
    ASSERT_EQ(end_, position);
  }

 private:
  // Where a node's own first record of a log lies.
  static constexpr std::uint64_t kFirstRecord = 544;
  static constexpr std::uint64_t kHeader = 90;

  static std::uint64_t Size(const std::string& stream, const std::string& type) {
    return kHeader + stream.size() + type.size();
  }

  embedded::EmbeddedServer& log_;
  std::uint64_t end_;  // Of the log, as a position.
};

}  // namespace catchup
