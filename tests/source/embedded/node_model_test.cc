// Random histories of everything that a client may ask, held against a model of a node that was
// written from the notes on the protocol alone: see model/README.md, also for what it leaves out.
#include <gtest/gtest.h>
#include <stdlib.h>

#include <cstdint>
#include <set>
#include <string>

#include "host/source/embedded/log_server.h"
#include "tests/source/embedded/model/history.h"
#include "tests/source/embedded/model/measured.h"
#include "tests/test_files.h"

namespace catchup::embedded {
namespace {

// As many as it takes to meet everything of measured.h.
constexpr std::uint64_t kHistories = 40;
constexpr int kSteps = 80;
// Now and then one that outgrows pages and windows.
constexpr int kManySteps = 400;
constexpr std::uint64_t kManyStepsEvery = 16;

// The variable `name` as a number, or what stands for it.
std::uint64_t Given(const char* name, std::uint64_t otherwise) {
  const char* const text = ::getenv(name);  // NOLINT: nobody writes it.
  return text == nullptr ? otherwise : std::stoull(text);
}

// A difference may be the cause of others, so the first one ends the test.
TEST(NodeModelTest, RandomHistoriesAreAnsweredAsTheNotesSay) {
  const std::uint64_t first = Given("CATCHUP_TEST_SEED", 1);
  const std::uint64_t count = Given("CATCHUP_TEST_HISTORIES", kHistories);
  std::set<std::string> shown;
  for (std::uint64_t seed = first; seed < first + count; ++seed) {
    const TemporaryFolder folder;
    ServerOptions options;
    options.directory = folder.path();
    auto server = EmbeddedServer::Start(options);
    ASSERT_TRUE(server.ok()) << server.status().message();
    model::History history(seed, (*server)->address());
    const std::string difference = history.Run(seed % kManyStepsEvery == 0 ? kManySteps : kSteps);
    ASSERT_TRUE(difference.empty()) << difference;
    shown.insert(history.shown().begin(), history.shown().end());
  }
  for (const model::Measured& measured : model::kAllMeasured) {
    EXPECT_TRUE(count < kHistories || shown.contains(measured.ToText()))
        << "never met: " << measured.ToText();
  }
}

}  // namespace
}  // namespace catchup::embedded
