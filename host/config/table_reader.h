#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "host/base/status.h"
#include "host/config/toml_tree.h"

namespace catchup {

// The problems found in one file, sorted by place. The same problem at one place counts once, since
// a value in [defaults] is read for every group.
class ConfigProblems {
 public:
  void Add(SourceLocation location, std::string text);
  void Add(const ConfigProblems& others);
  bool empty() const { return problems_.empty(); }

  // One "file:line:column: text" for each.
  std::vector<std::string> Format(std::string_view file) const;
  // The place of each, in the same order.
  std::vector<SourceLocation> Places() const;

 private:
  struct Problem {
    SourceLocation location;
    std::string text;
    bool operator<(const Problem& other) const;
  };

  std::set<Problem> problems_;
};

// Reads the keys of one table into typed values. A key that is there and wrong becomes a problem
// and leaves the value alone; Finish() reports the keys nobody asked for.
//
// Borrows the table and the problems. Used within one call.
class TableReader {
 public:
  // `prefix` comes before the key's name in messages: "source.", or empty in a group.
  TableReader(const TomlValue& table, std::string prefix, ConfigProblems* problems);

  // The member, marked as known; null when absent.
  const TomlMember* Take(std::string_view key);

  // Each returns whether a valid value was read.
  bool Bool(std::string_view key, bool* out);
  bool Integer(std::string_view key, std::uint64_t least, std::uint64_t most, std::uint64_t* out);
  bool Integer(std::string_view key, std::uint32_t least, std::uint32_t most, std::uint32_t* out);
  bool Duration(std::string_view key, std::chrono::milliseconds least,
                std::chrono::milliseconds most, std::chrono::milliseconds* out);
  bool Size(std::string_view key, std::uint64_t least, std::uint64_t most, std::uint64_t* out);
  bool Text(std::string_view key, std::string_view wanted, std::string* out);  // Not empty.
  bool TextList(std::string_view key, std::string_view wanted, std::vector<std::string>* out);

  // One of `names`; *index says which.
  bool Choice(std::string_view key, const std::vector<std::string_view>& names, std::size_t* index);

  // A table; null when absent or wrong.
  const TomlValue* Table(std::string_view key);

  // Reports "key = VALUE: wanted WANTED" at the value.
  void Wrong(std::string_view key, const TomlValue& value, std::string_view wanted);

  // Reports "key = VALUE: this version supports SUPPORTED" at the value.
  void Unsupported(std::string_view key, std::string_view supported);

  // Reports 'missing key "key": wanted WANTED' at the table's header.
  void Missing(std::string_view key, std::string_view wanted);

  // Reports every key that was not taken, with the nearest known one, or all known ones when none
  // is near.
  void Finish();

  const TomlValue& table() const { return table_; }
  const std::string& prefix() const { return prefix_; }
  ConfigProblems* problems() const { return problems_; }

 private:
  std::string ListKnown() const;

  const TomlValue& table_;
  const std::string prefix_;
  ConfigProblems* const problems_;
  std::vector<std::string> known_;
};

// An integer directly followed by ms, s, m or h, or by B, KiB, MiB or GiB. Anything else, or a
// value outside the bounds, is an error whose text follows "wanted".
Result<std::chrono::milliseconds> ParseDuration(std::string_view text,
                                                std::chrono::milliseconds least,
                                                std::chrono::milliseconds most);
Result<std::uint64_t> ParseSize(std::string_view text, std::uint64_t least, std::uint64_t most);

// As people write it: "64KiB".
std::string DescribeSize(std::uint64_t bytes);

}  // namespace catchup
