#pragma once

#include <cstdint>
#include <string_view>

#include "host/base/status.h"
#include "host/ring/runner_end.h"

namespace catchup {

// What a runner says on a deadly signal, to standard error as it was at the start: a line of
// crash_line.h with the call, the event, the signal, the frames and the build ids of their modules.
// `addr2line -f -e FILE OFFSET` resolves them, in another process. Then the signal's default action
// follows, so that core and exit status stay true.
//
// The handler only copies what was prepared, walks the stack, and writes. It reports a crash of any
// thread that does not block the signal, the first one only. A part of the report that crashes
// itself, on a stack that is no longer one, is left out; the process still dies of the first
// signal. The instance thread has a stack of its own for it, so that an overflow of its stack is
// reported as well. The plugin's own threads have none: they could only be reached by putting a
// function in place of pthread_create, and a runner that exports nothing puts none there. A stack
// overflow in one of those kills without a report, as does a fault in one that blocks its signal;
// the host still learns the signal and the call. A plugin that closes every descriptor it finds,
// rather than 1 and 2, closes the report's too.
//
// The handlers are there before the plugin's code. One that the plugin's runtime puts in their
// place stays: a runtime such as Go's recovers from faults of its own and hands on the others, and
// would not if it were replaced. A plugin that takes a signal and hands nothing on has no report of
// it.
//
// A process has one report, since a handler only reaches what is global. All functions belong to
// the instance thread.

// To be called before the plugin's constructors run, so that they are covered. `ring` must outlive
// the process's last thread.
Status InstallCrashReport(const RunnerEnd* ring);

// The plugin's file as it will be opened, so that its frames are known among others. Copied.
void SetPluginFileOfCrashReport(std::string_view path);

// Names the plugin from here on: its file before it is loaded, its name after. Copied.
void NamePluginInCrashReport(std::string_view plugin, std::uint32_t lane);

// The events of the next call, by the first. Borrowed until that call's end. Costs a few stores.
void SetEventsOfCrashReport(const RecordView& first, std::uint32_t count);

}  // namespace catchup
