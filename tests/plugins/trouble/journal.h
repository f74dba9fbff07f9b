#pragma once

#include <catchup/plugin.hpp>
#include <cstdint>
#include <map>
#include <string>
#include <utility>

namespace trouble {

// A file with one line for each delivery of an event, written before anything is done with it:
//
//     COMMIT:PREPARE STREAM REVISION TYPE ID DO DELIVERY
//
// DELIVERY counts those of that event, from 1, over all runners that ever wrote here, other lanes
// included. What would break a line up (blanks, controls, backslashes) stands as \xNN.
//
// Opened anew for each line, so that an order may close every descriptor, and the file may be moved
// away. One thread.
class Journal {
 public:
  // Empty: deliveries are counted in this process only.
  explicit Journal(std::string path) : path_(std::move(path)) {}

  // Writes the line and returns its DELIVERY. Throws catchup::Retry while the file cannot be
  // written, with nothing counted.
  std::uint64_t Note(const catchup::Event& event, const std::string& what);

 private:
  using Place = std::pair<std::uint64_t, std::uint64_t>;

  void ReadOn(int file);
  void Count(const std::string& line);

  const std::string path_;
  std::uint64_t read_ = 0;  // Bytes of the file that are counted: whole lines.
  std::map<Place, std::uint64_t> deliveries_;
};

}  // namespace trouble
