// Saves 1:1, 2:2, 3:3 … from where the store stands, and writes each number to standard output
// once it is durable, until it is killed. For kill_test.cc.

#include <unistd.h>

#include <cstdio>
#include <string>

#include "host/store/checkpoint_store.h"

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: store_saver FOLDER\n");
    return 2;
  }
  auto store = catchup::CheckpointStore::Open(
      argv[1], "g", {catchup::EventFilter::Match::kEventType, {"order-"}});
  if (!store.ok()) {
    std::fprintf(stderr, "%s\n", store.status().message().c_str());
    return 1;
  }
  catchup::CheckpointRecord record = (*store)->record();
  std::uint64_t n = record.checkpoint ? record.checkpoint->commit : 0;
  for (;;) {
    ++n;
    record.checkpoint = catchup::Position{n, n};
    if (const auto status = (*store)->Save(record); !status.ok()) {
      std::fprintf(stderr, "%s\n", status.message().c_str());
      return 1;
    }
    const std::string line = std::to_string(n) + "\n";
    if (::write(STDOUT_FILENO, line.data(), line.size()) < 0) {
      return 1;
    }
  }
}
