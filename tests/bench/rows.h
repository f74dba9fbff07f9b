#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "tests/bench/figures.h"
#include "tests/bench/host_run.h"

namespace catchup::bench {

struct Bench {
  Places places;
  std::uint64_t rounds = 5;
  std::uint64_t events = 1'000'000;  // Of the log that catch-up reads.
  Figures figures;
};

// A part of the bench that can be asked for by name.
struct Part {
  std::string_view name;
  std::string_view meaning;
  void (*measure)(Bench* bench);
  bool usual;  // Whether it is measured when nothing is asked for.
};

std::span<const Part> Parts();

// Each fills rows of its own. What is compared takes turns within a round, so that whatever else
// the machine does meets both.
void MeasureCatchUp(Bench* bench);
void MeasureSizes(Bench* bench);
void MeasureLargeLog(Bench* bench);
void MeasureOrderTotals(Bench* bench);
void MeasureLive(Bench* bench);
void MeasureGroups(Bench* bench);
void MeasureAppend(Bench* bench);
void MeasureRespawn(Bench* bench);
void MeasureReconnect(Bench* bench);
void MeasureNetwork(Bench* bench);
void MeasureLetters(Bench* bench);
void MeasureParts(Bench* bench);

}  // namespace catchup::bench
