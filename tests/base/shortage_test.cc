#include "host/base/shortage.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include <cstdlib>

namespace catchup {
namespace {

// Takes address space until there is none, gives it back, and aborts as a library does that was
// refused its piece.
void AbortAfterAShortage() {
  EndWithWordsOnShortage();
  const rlimit limit{1u << 30, 1u << 30};
  (void)setrlimit(RLIMIT_AS, &limit);
  void* pieces[64];
  std::size_t count = 0;
  while (count < 64) {
    void* piece = mmap(nullptr, 32u << 20, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (piece == MAP_FAILED) {
      break;
    }
    pieces[count++] = piece;
  }
  while (count > 0) {
    (void)munmap(pieces[--count], 32u << 20);
  }
  std::abort();
}

void AbortWithoutOne() {
  EndWithWordsOnShortage();
  std::abort();
}

TEST(ShortageDeathTest, AnAbortAfterMemoryWasShortIsAStatedEnd) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "sanitizers reserve address space of their own";
#endif
  EXPECT_EXIT(AbortAfterAShortage(), testing::ExitedWithCode(1), "Out of memory");
}

TEST(ShortageDeathTest, AnAbortWithoutAShortageStaysOne) {
  EXPECT_EXIT(AbortWithoutOne(), testing::KilledBySignal(SIGABRT), "");
}

}  // namespace
}  // namespace catchup
