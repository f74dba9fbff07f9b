#pragma once

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "host/store/letter_store.h"
#include "tests/test_files.h"

// Letters to put into stores, and what is asked of these.
namespace catchup {

inline Letter MakeLetter(std::uint64_t n, std::string stream = "order-1") {
  Letter letter;
  letter.head.position = Position{n * 10, n * 10};
  letter.head.stream = std::move(stream);
  letter.head.type = "order-placed";
  letter.head.event_id.bytes[0] = static_cast<std::uint8_t>(n + 1);
  letter.head.revision = n;
  letter.head.created_ticks = 17'000'000'000'000'000 + static_cast<std::int64_t>(n);
  letter.head.is_json = true;
  letter.head.state = StoredState::kHealing;
  letter.head.letter_class = StoredClass::kUnknown;
  letter.head.written_ticks = 17'000'000'000'001'000;
  letter.head.since_ticks = 17'000'000'000'001'000;
  letter.head.due_ticks = 17'000'000'050'001'000;
  letter.head.attempts = 4;
  letter.head.first_failed_ticks = 17'000'000'000'000'500;
  letter.head.last_failed_ticks = 17'000'000'000'000'900;
  letter.cause.reason = "no such article";
  letter.cause.calls = {{17'000'000'000'000'500, StoredClass::kUnknown, "no such article"}};
  letter.cause.plugin = "orders.so";
  letter.cause.plugin_version = "1.2.0";
  letter.cause.plugin_digest.fill(0xab);
  letter.cause.token = 7;
  letter.cause.trace_id = "0af7651916cd43dd8448eb211c80319c";
  letter.cause.span_id = "b7ad6b7169203331";
  letter.data = "{\"n\":" + std::to_string(n) + "}";
  letter.metadata = "{\"by\":\"me\"}";
  return letter;
}

inline Letter MakeFollower(std::uint64_t n, std::string stream = "order-1") {
  Letter letter = MakeLetter(n, std::move(stream));
  letter.head.state = StoredState::kFollower;
  letter.head.letter_class = StoredClass::kNone;
  letter.head.due_ticks = 0;
  letter.head.attempts = 0;
  letter.head.first_failed_ticks = 0;
  letter.head.last_failed_ticks = 0;
  letter.cause.reason.clear();
  letter.cause.calls.clear();
  return letter;
}

inline std::vector<Position> Positions(LetterReader* reader) {
  std::vector<Position> found;
  const Status scanned =
      reader->Scan([&](const LetterHead& head) { found.push_back(head.position); });
  EXPECT_TRUE(scanned.ok()) << scanned.message();
  return found;
}

inline Position At(std::uint64_t n) { return {n * 10, n * 10}; }

inline std::unique_ptr<LetterStore> OpenLetters(const std::filesystem::path& folder,
                                                const LetterStore::Options& options = {}) {
  auto store = LetterStore::Open(folder, "g", options);
  EXPECT_TRUE(store.ok()) << store.status().message();
  return store.ok() ? *std::move(store) : nullptr;
}

inline Status InsertOne(LetterStore* store, Letter letter) {
  return store->Insert(store->token(), {&letter, 1});
}

}  // namespace catchup
