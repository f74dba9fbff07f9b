// What dead letters cost: letter_commits FOLDER [LETTERS]. Writes that many letters (100,000 unless
// said otherwise) of 1 KiB by sixteen a commit, then some alone, and opens them as a start does.

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "host/store/letter_store.h"

namespace catchup {
namespace {

using Clock = std::chrono::steady_clock;

double SecondsSince(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

Letter Make(std::uint64_t n) {
  Letter letter;
  letter.head.position = {n, n};
  letter.head.stream = "order-" + std::to_string(n / 3);
  letter.head.type = "order-placed";
  letter.head.revision = n % 3;
  letter.cause.reason = "no such article";
  letter.cause.plugin = "orders.so";
  letter.data = std::string(1024, 'x');
  return letter;
}

Status Run(const std::string& folder, std::uint64_t letters) {
  constexpr std::uint64_t kTogether = 16;
  constexpr std::uint64_t kAlone = 1000;
  std::uint64_t n = 0;
  {
    CATCHUP_ASSIGN_OR_RETURN(const auto store, LetterStore::Open(folder, "g", {}));
    auto start = Clock::now();
    while (n + kAlone < letters) {
      std::vector<Letter> some;
      for (std::uint64_t i = 0; i < kTogether; ++i) {
        some.push_back(Make(++n));
      }
      CATCHUP_RETURN_IF_ERROR(store->Insert(0, some));
    }
    std::printf("by sixteen   %8.0f letters/s\n", static_cast<double>(n) / SecondsSince(start));
    std::vector<double> alone;
    while (n < letters) {
      Letter letter = Make(++n);
      start = Clock::now();
      CATCHUP_RETURN_IF_ERROR(store->Insert(0, {&letter, 1}));
      alone.push_back(SecondsSince(start) * 1e3);
    }
    std::sort(alone.begin(), alone.end());
    if (!alone.empty()) {
      std::printf("alone        p50 %.2f ms p99 %.2f ms\n", alone[alone.size() / 2],
                  alone[alone.size() * 99 / 100]);
    }
  }
  const auto start = Clock::now();
  CATCHUP_ASSIGN_OR_RETURN(const auto store, LetterStore::Open(folder, "g", {}));
  const double opened = SecondsSince(start);
  std::uint64_t seen = 0;
  CATCHUP_RETURN_IF_ERROR(store->reader().Scan([&](const LetterHead&) { ++seen; }));
  std::printf("open         %8.1f ms\nscan         %8.1f ms, %llu letters\n", opened * 1e3,
              (SecondsSince(start) - opened) * 1e3, static_cast<unsigned long long>(seen));
  return {};
}

}  // namespace
}  // namespace catchup

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fprintf(stderr, "usage: letter_commits FOLDER [LETTERS]\n");
    return 2;
  }
  const std::uint64_t letters = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 100'000;
  const catchup::Status status = catchup::Run(argv[1], letters);
  if (!status.ok()) {
    std::fprintf(stderr, "%s\n", status.message().c_str());
    return 1;
  }
  return 0;
}
