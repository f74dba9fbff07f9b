// bench PROGRAMS WORK JSON ROUNDS EVENTS [PART]...: what run.sh measures.
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "tests/bench/rows.h"

namespace {

using namespace catchup::bench;

int Usage() {
  std::fprintf(stderr, "usage: bench PROGRAMS WORK JSON ROUNDS EVENTS [PART]...\nparts:\n");
  for (const Part& part : Parts()) {
    std::fprintf(stderr, "  %-14s %s%s\n", std::string(part.name).c_str(),
                 std::string(part.meaning).c_str(), part.usual ? "" : " (only when named)");
  }
  return 2;
}

bool IsWanted(const Part& part, const std::vector<std::string>& wanted) {
  for (const std::string& name : wanted) {
    if (name == part.name) {
      return true;
    }
  }
  return wanted.empty() && part.usual;
}

bool AreKnown(const std::vector<std::string>& wanted) {
  for (const std::string& name : wanted) {
    bool known = false;
    for (const Part& part : Parts()) {
      known = known || name == part.name;
    }
    if (!known) {
      std::fprintf(stderr, "bench: found the part %s, wanted one of those below\n", name.c_str());
      return false;
    }
  }
  return true;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 6) {
    return Usage();
  }
  Bench bench;
  bench.places = {argv[1], argv[2]};
  bench.rounds = std::strtoull(argv[4], nullptr, 10);
  bench.events = std::strtoull(argv[5], nullptr, 10);
  const std::vector<std::string> wanted(argv + 6, argv + argc);
  if (bench.rounds == 0 || bench.events == 0 || !AreKnown(wanted)) {
    return Usage();
  }
  for (const Part& part : Parts()) {
    if (IsWanted(part, wanted)) {
      std::fprintf(stderr, "measuring %s\n", std::string(part.name).c_str());
      part.measure(&bench);
    }
  }
  bench.figures.PrintTable();
  bench.figures.WriteJson(argv[3]);
  return 0;
}
