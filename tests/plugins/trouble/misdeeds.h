#pragma once

#include <catchup/plugin.hpp>

#include "tests/plugins/trouble/order.h"

namespace trouble {

// Does what the order says. By its `do`:
//
// ok              nothing
// reject retry fail fatal   the status, with `text`
// throw           a std::runtime_error of `text`, which the C++ layer makes FAILED
// throw_int       an int
// segv abort stack_overflow die of it
// exit            ends the process with exit code 3
// hang            never returns, whatever it is asked
// leak            takes `bytes` of memory (1 GiB) and keeps them
// fork            leaves a process behind, in a session of its own, that lives on; its number is in
//                 the file `left`
// close_fds       closes every descriptor but the three standard ones
// bad_status      a status that is none, 77
// big_text        FAILED, and a line of the log, with `bytes` of any bytes (1 MiB)
// stdout_flood    prints `bytes` (4 MiB) in lines
// slow            takes `ms` (100)
//
// What neither throws nor ends the process returns, and so says OK. Throws catchup::Fatal, which
// lists these, for any other.
void Do(const Order& order, const catchup::Host& host);

}  // namespace trouble
