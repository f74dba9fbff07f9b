#pragma once

#include <catchup/plugin.hpp>

#include "tests/plugins/trouble/order.h"

namespace trouble {

// Does what the order says. By its `do`:
//
// ok              nothing
// reject retry fail fatal   the status, with `text`
// throw           a std::runtime_error of `text`, which the C++ layer makes FAILED
// throw_int throw_foreign   an int, another language's exception
// segv bus fpe ill abort terminate stack_overflow   die of it
// exit _exit      end the process with exit code 3 or 4
// pthread_exit longjmp      leave the call otherwise than by returning
// hang spin deadlock        never return, whatever they are asked
// leak            takes `bytes` of memory (1 GiB), within about `ms` (256), and keeps them
// fork            leaves a process behind, in a session of its own, that lives on; its number is in
//                 the file `left`. It takes `bytes` of memory (none)
// open_files      opens `bytes` (64) of them at once; FAILED with the reason where it cannot
// close_fds       closes every descriptor but the three standard ones
// write_fds       writes garbage to each of these
// huge_length     dies of an error's text that is said to be longer than memory
// rude            blocks every signal, ignores some, and changes working directory, locale and more
// threads         calls the host from eight threads, also what is not theirs to call
// bad_status      a status that is none, 77
// big_text        FAILED, and a line of the log, with `bytes` of any bytes (1 MiB)
// stdout_flood    prints `bytes` (4 MiB) in lines
// slow burn       take `ms` (100), asleep or on every core
//
// What neither throws nor ends the process returns, and so says OK. Throws catchup::Fatal, which
// lists these, for any other.
void Do(const Order& order, const catchup::Host& host);

}  // namespace trouble
