#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace catchup::bench {

// What was measured: rows of figures, each with one value a round.
class Figures {
 public:
  // `unit` belongs to the figure; the first one given counts.
  void Add(const std::string& row, const std::string& figure, std::string_view unit, double value);

  // One line a figure: the median, and the range that it was in.
  void PrintTable() const;
  void WriteJson(const std::string& path) const;

 private:
  struct Figure {
    std::string row;
    std::string name;
    std::string unit;
    std::vector<double> values;
  };

  std::vector<Figure> figures_;  // In order of their first value.
};

// The numbers of a file, one a line; a line "live" among them is left out.
std::vector<double> Numbers(const std::string& path);

// The value below which `part` of them lie; of nothing 0.
double Quantile(std::vector<double> values, double part);

}  // namespace catchup::bench
