#include "host/daemon/watch/progress.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <iterator>
#include <string_view>

#include "host/base/time_text.h"
#include "host/engine/engine_text.h"

namespace catchup {
namespace {

using Clock = std::chrono::steady_clock;

// How much the newest rate counts against those before it, so that the time left does not jump.
constexpr double kNewest = 0.3;

// Nobody plans by more, and it keeps the arithmetic within its types.
constexpr double kLongestEtaSeconds = 1e8;

// What a name may take of a line before it is cut: the longest has 63 characters. Beside a reason
// it is less, as no name tells why.
constexpr std::size_t kNameShare = 3;
constexpr std::size_t kNameShareBesideReason = 5;

constexpr std::string_view kGap = "  ";
constexpr std::string_view kCut = "...";

// In the order in which they are shown; the summary counts them from the end.
enum class Rank : std::uint8_t {
  kFailed,
  kGivenUp,
  kHalted,
  kWaiting,
  kDraining,
  kStarting,
  kCatchingUp,
  kCaughtUp,
  kStopped,
  kEnded,
};
constexpr std::array<std::string_view, 10> kRankNames = {
    "failed",   "given up",    "halted",    "waiting", "draining",
    "starting", "catching up", "caught up", "stopped", "ended"};

Rank RankOf(const GroupStatus& status) {
  switch (status.state) {
    case GroupState::kFailed:
      return Rank::kFailed;
    case GroupState::kGivenUp:
      return Rank::kGivenUp;
    case GroupState::kHalted:
      return Rank::kHalted;
    case GroupState::kWaiting:
      return Rank::kWaiting;
    case GroupState::kDraining:
      return Rank::kDraining;
    case GroupState::kIdle:
    case GroupState::kStarting:
      return Rank::kStarting;
    case GroupState::kCatchingUp:
      return Rank::kCatchingUp;
    case GroupState::kCaughtUp:
      return Rank::kCaughtUp;
    case GroupState::kStopped:
      break;
  }
  return status.reason == kCaughtUpReason ? Rank::kEnded : Rank::kStopped;
}

bool HasReason(Rank rank) { return rank <= Rank::kStarting || rank == Rank::kStopped; }

std::string_view NameOf(Rank rank) { return kRankNames[static_cast<std::size_t>(rank)]; }

// "17s", "2m10s": tenths would only flicker.
std::string WholeSeconds(std::chrono::nanoseconds duration) {
  const auto seconds = std::chrono::ceil<std::chrono::seconds>(duration);
  return seconds < std::chrono::minutes(1) ? fmt::format("{}s", seconds.count())
                                           : FormatDuration(seconds);
}

// At most `width` bytes, cut behind a word where there is one.
std::string CutAtWord(std::string_view text, std::size_t width) {
  if (text.size() <= width) {
    return std::string(text);
  }
  if (width <= kCut.size()) {
    return std::string(kCut.substr(0, width));
  }
  std::string_view kept = text.substr(0, width - kCut.size());
  const std::size_t space = text.substr(0, kept.size() + 1).rfind(' ');
  // A word longer than half of the room is cut itself.
  if (space != std::string_view::npos && space >= kept.size() / 2) {
    kept = kept.substr(0, space);
  }
  // No half of a character.
  while (!kept.empty() && (static_cast<unsigned char>(text[kept.size()]) & 0xc0) == 0x80) {
    kept.remove_suffix(1);
  }
  kept = kept.substr(0, kept.find_last_not_of(" ,;:(") + 1);
  return std::string(kept).append(kCut);
}

// At most `width` characters, without its middle: what names of one kind differ in may be at either
// end.
std::string CutMiddle(const std::string& name, std::size_t width) {
  if (name.size() <= width || width <= kCut.size()) {
    return name.substr(0, width);
  }
  const std::size_t back = (width - kCut.size()) / 2;
  const std::size_t front = width - kCut.size() - back;
  return name.substr(0, front) + std::string(kCut) + name.substr(name.size() - back);
}

std::string Padded(std::string text, std::size_t width, bool right) {
  const std::size_t pad = width - std::min(width, text.size());
  return right ? std::string(pad, ' ') + text : text + std::string(pad, ' ');
}

// "200 groups: 190 caught up, 7 catching up, 2 waiting, 1 failed"
std::string Summary(const std::array<std::size_t, kRankNames.size()>& counts, std::size_t groups) {
  std::string text = fmt::format("{} groups:", groups);
  const char* separator = " ";
  for (std::size_t rank = counts.size(); rank-- > 0;) {
    if (counts[rank] != 0) {
      text += fmt::format("{}{} {}", separator, counts[rank], kRankNames[rank]);
      separator = ", ";
    }
  }
  return text;
}

struct Row {
  // The columns of a group that has no reason to show.
  enum Column : std::size_t { kEvents, kRate, kPercent, kEta, kPlace, kColumns };

  std::string name;
  Rank rank{};
  // What of two groups that catch up is shown first: the logarithm of the seconds left, so that
  // lines do not change places all the time. Without a rate it is the highest.
  int slowness = 0;
  std::string reason;
  std::string time_left;  // Behind the reason, and never cut.
  std::array<std::string, kColumns> columns;
};

void DescribeCatchUp(const GroupStatus& status, double bytes_per_second, Row* row) {
  const std::uint64_t commit = status.position.value_or(Position{}).commit;
  const std::uint64_t head = std::max(status.head->commit, commit);
  char percent[16];
  std::snprintf(percent, sizeof percent, "%.1f %%",
                100.0 * static_cast<double>(commit) / static_cast<double>(head));
  row->columns[Row::kPercent] = percent;
  row->columns[Row::kPlace] = fmt::format("at {} of {}", FormatCount(commit), FormatCount(head));
  if (commit == head) {
    return;
  }
  double left = kLongestEtaSeconds;
  if (bytes_per_second > 0) {
    left = std::min(left, static_cast<double>(head - commit) / bytes_per_second);
    row->columns[Row::kEta] =
        "ETA " + WholeSeconds(std::chrono::seconds(static_cast<std::int64_t>(std::ceil(left))));
  }
  row->slowness = std::ilogb(std::max(left, 1.0)) + 1;
}

Row MakeRow(const GroupStatus& status, double bytes_per_second, Clock::time_point now) {
  Row row;
  row.name = status.name;
  row.rank = RankOf(status);
  if (HasReason(row.rank)) {
    row.reason = WithTimeLeft(status.reason, "");
    if (status.retry_at.has_value() && *status.retry_at > now) {
      row.time_left = WithTimeLeft(status.reason, WholeSeconds(*status.retry_at - now))
                          .substr(row.reason.size());
    }
  }
  row.columns[Row::kEvents] = FormatCount(status.processed) + " events";
  row.columns[Row::kRate] = FormatCount(static_cast<std::uint64_t>(status.rate)) + "/s";
  if (row.rank == Rank::kCatchingUp && status.head.has_value() && status.head->commit != 0) {
    DescribeCatchUp(status, bytes_per_second, &row);
  }
  return row;
}

// What rows that stand below each other share.
struct Layout {
  std::size_t name = 0;
  std::size_t state = 0;
  std::array<std::size_t, Row::kColumns> columns{};  // 0 for one that has no room.
};

Layout MakeLayout(const std::vector<Row>& rows, std::size_t width) {
  Layout layout;
  std::array<std::size_t, Row::kColumns> wanted{};
  for (const Row& row : rows) {
    layout.name = std::max(layout.name, row.name.size());
    layout.state = std::max(layout.state, NameOf(row.rank).size());
    for (std::size_t i = 0; i < wanted.size() && row.reason.empty(); ++i) {
      wanted[i] = std::max(wanted[i], row.columns[i].size());
    }
  }
  // The columns that fit, the most telling first; they stand in their own order all the same.
  constexpr std::size_t kByWorth[] = {Row::kEta, Row::kPercent, Row::kEvents, Row::kRate,
                                      Row::kPlace};
  std::size_t used = layout.name + kGap.size() + layout.state;
  for (const std::size_t i : kByWorth) {
    if (wanted[i] != 0 && used + kGap.size() + wanted[i] <= width) {
      layout.columns[i] = wanted[i];
      used += kGap.size() + wanted[i];
    }
  }
  return layout;
}

std::string FormatRow(const Row& row, const Layout& layout, std::size_t width) {
  std::string line = Padded(row.name, layout.name, false);
  line += kGap;
  line += Padded(std::string(NameOf(row.rank)), layout.state, false);
  if (row.reason.empty()) {
    for (std::size_t i = 0; i < layout.columns.size(); ++i) {
      if (layout.columns[i] != 0) {
        line += kGap;
        line += Padded(row.columns[i], layout.columns[i], i < Row::kEta);
      }
    }
  } else if (const std::size_t at = line.size() + kGap.size(); at < width) {
    const std::size_t room = width - at;
    const bool both = room > 2 * row.time_left.size();
    const std::size_t left = both ? room - row.time_left.size() : room;
    line += kGap;
    line += CutAtWord(row.reason.size() <= left ? row.reason : ShortReason(row.reason), left);
    line += both ? row.time_left : "";
  }
  line.erase(line.find_last_not_of(' ') + 1);
  return line.substr(0, width);
}

}  // namespace

double ProgressTable::BytesPerSecond(const GroupStatus& status, Clock::time_point now) {
  const std::uint64_t commit = status.position.value_or(Position{}).commit;
  Seen& seen = seen_[status.name];
  if (seen.at.time_since_epoch().count() != 0 && commit >= seen.commit) {
    const double seconds = std::chrono::duration<double>(now - seen.at).count();
    const double rate = seconds > 0 ? static_cast<double>(commit - seen.commit) / seconds : 0;
    seen.bytes_per_second =
        seen.bytes_per_second == 0 ? rate : (1 - kNewest) * seen.bytes_per_second + kNewest * rate;
  }
  seen.commit = commit;
  seen.at = now;
  return seen.bytes_per_second;
}

std::vector<std::string> ProgressTable::Draw(const std::vector<GroupStatus>& groups,
                                             Clock::time_point now, TerminalSize size) {
  const std::size_t width = size.columns - std::min<std::size_t>(size.columns, 1);
  std::vector<Row> rows;
  std::array<std::size_t, kRankNames.size()> counts{};
  for (const GroupStatus& group : groups) {
    rows.push_back(MakeRow(group, BytesPerSecond(group, now), now));
    ++counts[static_cast<std::size_t>(rows.back().rank)];
  }
  std::stable_sort(rows.begin(), rows.end(), [](const Row& a, const Row& b) {
    return a.rank != b.rank ? a.rank < b.rank : a.slowness > b.slowness;
  });
  const bool summary = rows.size() > 1;
  // A third is left to the log.
  const std::size_t room = std::max<std::size_t>(size.rows * 2 / 3, 3) - (summary ? 1 : 0);
  const std::size_t hidden = rows.size() <= room ? 0 : rows.size() - (room - 1);
  rows.resize(rows.size() - hidden);
  const bool reasons =
      std::any_of(rows.begin(), rows.end(), [](const Row& row) { return !row.reason.empty(); });
  for (Row& row : rows) {
    row.name = CutMiddle(
        row.name, std::max(width / (reasons ? kNameShareBesideReason : kNameShare), kCut.size()));
  }
  const Layout layout = MakeLayout(rows, width);
  std::vector<std::string> lines;
  for (const Row& row : rows) {
    lines.push_back(FormatRow(row, layout, width));
  }
  if (hidden != 0) {
    lines.push_back(fmt::format("... and {} more", hidden));
  }
  if (summary) {
    lines.push_back(Summary(counts, groups.size()));
  }
  for (std::string& line : lines) {
    line = CutAtWord(line, width);
  }
  return lines;
}

}  // namespace catchup
