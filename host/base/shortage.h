#pragma once

#include <functional>
#include <string_view>
#include <thread>

#include "host/base/status.h"

namespace catchup {

// What this program does when the machine has nothing left for it. Where a caller can wait, it
// waits; these are for the places where nobody can: a library that aborts, an allocation deep
// inside one. The process then ends with one line on standard error and exit code 1, not by a
// signal, so that whoever supervises it starts it again, and reads why. Nothing can be lost by such
// an end: what is durable is durable, and runners die with the host.

// From now on: out of memory in any `new`; an exception for want of memory, threads or descriptors
// that nobody catches; an abort while memory, descriptors or processes are used up. An abort for
// any other reason stays one, with its core. Once, first of all.
void EndWithWordsOnShortage();

// Ends the process now, with one line and this exit code. Safe in a signal handler; any thread.
// Both texts are plain: no quotes, no controls.
[[noreturn]] void EndWithWords(std::string_view msg, std::string_view reason, int code = 1);

// The line's form: like those of the log. Any thread.
void SetShortageLineAsJson(bool json);

// A thread that runs `body`, or why there is none: kExhausted.
Result<std::thread> StartThread(std::function<void()> body);

// What gRPC starts for a client and a server, on a machine of many cores too, with some to spare.
// It does not look whether it got them: without one of them it waits for ever, here or there.
inline constexpr int kLibraryThreads = 24;

// What gRPC opens before the first answer; without one of them it aborts.
inline constexpr int kLibraryDescriptors = 8;

// Whether `count` threads can be had at once; they have ended when this returns. Before a library
// that would not notice. kExhausted: not so many.
Status ProveThreads(int count);

// The same for descriptors.
Status ProveDescriptors(int count);

// Both, for gRPC. Call it before its first use.
Status ProveLibraryNeeds();

}  // namespace catchup
