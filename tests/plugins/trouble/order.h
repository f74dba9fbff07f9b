#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace trouble {

// What the data of an event asks for:
//
//     {"do":"segv","text":"…","times":2,"until":"mended","bytes":1048576,"ms":100}
//
// do     one of the names in misdeeds.h, "ok" if it is missing or the data is no such object
// text   of the status, for what has one
// times  misbehave on the first so many deliveries of this event, then say OK
// until  misbehave until this file exists, a relative path being below the working directory; with
//        `times`, until either is over. With neither of them: always
// bytes  of "leak", "fork", "big_text" and "stdout_flood"; how many of "open_files"
// ms     of "slow", "burn" and "leak"
struct Order {
  std::string what = "ok";
  std::string text;
  std::optional<std::uint64_t> times;
  std::string until;
  std::optional<std::uint64_t> bytes;
  std::optional<std::uint64_t> ms;

  // Whether the misdeed is due on delivery number `delivery` of the event, from 1.
  bool Due(std::uint64_t delivery) const;
};

// Any data is an order: what cannot be read as one is "ok", so that events of other tests pass. A
// member of another kind than the one above throws catchup::Fatal, which names it.
Order ReadOrder(std::string_view data);

}  // namespace trouble
