#pragma once

#include <chrono>
#include <cstdint>

#include "host/base/end_of_call.h"

namespace catchup {

// When a group opens its next call after one that has ended: by itself, and at the earliest once it
// hears that the source answers somebody (Prober).
//
//   end of the call            by itself                      at the earliest
//   nobody has answered, and   10 s: only a stopgap, since    at once
//   nothing was heard before   the source is looked for
//   dropped, not ready         200 ms, doubled up to 30 s     at once, but as by itself where it
//                                                             had been opened for having heard that
//   credentials, rights        10 s, doubled up to 60 s       as by itself
//   a message is too large     30 s                           as by itself
//   unsupported, bad request   60 s                           as by itself
//
// Each but the last three 25 % up or down at random. What the server asks for counts on top, up to
// 60 s. Only a frame shows that a call is well, and begins all of it anew. Pure; units are those of
// the engine's clock.
class ReconnectPace {
 public:
  struct Next {
    std::chrono::nanoseconds delay{};     // The next try, if nothing is heard meanwhile.
    std::chrono::nanoseconds earliest{};  // No try before, whatever is heard.
  };

  // The call has ended. `answered`: at this step of it or an earlier one. `heard`: it had been
  // opened since the source was heard to answer somebody.
  Next OnEnded(const EndOfCall& end, bool answered, bool heard, std::uint64_t random);

  // A frame has come.
  void OnFrame() { failures_ = refusals_ = tries_ = 0; }

  // Ends since the last frame.
  std::uint32_t tries() const { return tries_; }

 private:
  Next Own(EndClass kind, bool answered, bool heard, std::uint64_t random);

  std::uint32_t failures_ = 0;  // Of calls that somebody answered, since the last frame.
  std::uint32_t refusals_ = 0;
  std::uint32_t tries_ = 0;
};

}  // namespace catchup
