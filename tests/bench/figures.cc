#include "tests/bench/figures.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <sstream>

#include "tests/bench/process.h"

namespace catchup::bench {
namespace {

// Three digits that count are as much as such a measurement can say.
std::string Rounded(double value) {
  char text[64];
  std::snprintf(text, sizeof text, value >= 1000 ? "%.0f" : "%.3g", value);
  return text;
}

}  // namespace

std::vector<double> Numbers(const std::string& path) {
  std::istringstream lines(ReadFile(path));
  std::vector<double> numbers;
  for (std::string line; std::getline(lines, line);) {
    if (line != "live") {
      numbers.push_back(std::strtod(line.c_str(), nullptr));
    }
  }
  return numbers;
}

double Quantile(std::vector<double> values, double part) {
  if (values.empty()) {
    return 0;
  }
  std::sort(values.begin(), values.end());
  const double at = part * static_cast<double>(values.size() - 1);
  const auto below = static_cast<std::size_t>(at);
  const std::size_t above = std::min(below + 1, values.size() - 1);
  return values[below] + (values[above] - values[below]) * (at - static_cast<double>(below));
}

void Figures::Add(const std::string& row, const std::string& figure, std::string_view unit,
                  double value) {
  const auto known = std::find_if(figures_.begin(), figures_.end(), [&](const Figure& each) {
    return each.row == row && each.name == figure;
  });
  if (known != figures_.end()) {
    known->values.push_back(value);
  } else {
    figures_.push_back({row, figure, std::string(unit), {value}});
  }
}

void Figures::PrintTable() const {
  std::printf("%-22s %-34s %10s  %-20s %s\n", "row", "figure", "median", "range", "unit");
  const std::string* row = nullptr;
  for (const Figure& figure : figures_) {
    const bool repeats = row != nullptr && *row == figure.row;
    const std::string range =
        Rounded(Quantile(figure.values, 0)) + " to " + Rounded(Quantile(figure.values, 1));
    std::printf("%-22s %-34s %10s  %-20s %s\n", repeats ? "" : figure.row.c_str(),
                figure.name.c_str(), Rounded(Quantile(figure.values, 0.5)).c_str(), range.c_str(),
                figure.unit.c_str());
    row = &figure.row;
  }
}

void Figures::WriteJson(const std::string& path) const {
  nlohmann::ordered_json rows = nlohmann::ordered_json::object();
  for (const Figure& figure : figures_) {
    rows[figure.row][figure.name] = {
        {"unit", figure.unit}, {"median", Quantile(figure.values, 0.5)}, {"values", figure.values}};
  }
  WriteFile(path, rows.dump(2) + "\n");
}

}  // namespace catchup::bench
