// Works on the letters of group "g" in a folder until it is killed, and says on standard output
// what is durable. For letter_kill_test.cc, letter_damage_test.cc.
//
//   letter_saver FOLDER        letter n is written, n = the next 1, 2, 3 …; once there are ten, the
//                              oldest one is removed before; says "n"
//   letter_saver FOLDER hold   opens the store, says "open" and holds it

#include <unistd.h>

#include <cstdio>
#include <cstring>
#include <string>

#include "host/store/letter_store.h"

namespace {

int Fail(const catchup::Status& status) {
  std::fprintf(stderr, "%s\n", status.message().c_str());
  return 1;
}

bool Say(const std::string& line) {
  return ::write(STDOUT_FILENO, line.data(), line.size()) == static_cast<ssize_t>(line.size());
}

}  // namespace

int main(int argc, char** argv) {
  using namespace catchup;
  if (argc < 2) {
    std::fprintf(stderr, "usage: letter_saver FOLDER [hold]\n");
    return 2;
  }
  LetterStore::Options options;
  options.sinks = {"jsonl:out"};
  auto store = LetterStore::Open(argv[1], "g", options);
  if (!store.ok()) {
    return Fail(store.status());
  }
  if (argc > 2) {
    Say("open\n");
    ::pause();
    return 0;
  }
  std::uint64_t first = 0;
  std::uint64_t last = 0;
  (void)(*store)->reader().Scan([&](const LetterHead& head) {
    first = first == 0 ? head.position.commit : first;
    last = head.position.commit;
  });
  for (;;) {
    if (last - first >= 9 && first != 0) {
      const Position place{first, first};
      const Status removed = first % 2 == 0 ? (*store)->RemoveHealed(0, place)
                                            : (*store)->Drop(0, place, "no use", "a test");
      if (!removed.ok()) {
        return Fail(removed);
      }
      ++first;
    }
    ++last;
    Letter letter;
    letter.head.position = {last, last};
    letter.head.stream = "s-" + std::to_string(last % 3);
    letter.data = std::string(last * 977 % 20'000, 'x');
    if (const Status inserted = (*store)->Insert(0, {&letter, 1}); !inserted.ok()) {
      return Fail(inserted);
    }
    first = first == 0 ? last : first;
    if (!Say(std::to_string(last) + "\n")) {
      return 1;
    }
  }
}
