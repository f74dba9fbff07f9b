#pragma once

#include "host/base/status.h"
#include "host/ring/contract/descriptors.h"

namespace catchup {

// The runner's first lines, whatever it was called for: no descriptor but 0 to 2 and those below
// `first_free`, which it was given, and no signal of the host's parents. Then the signals that must
// not end a plugin get empty handlers, not SIG_IGN, which the plugin's own children would inherit:
// SIGTERM and SIGINT, because the host alone decides; SIGPIPE and SIGXFSZ, because the call that
// caused them says so with an error code; SIGHUP and SIGALRM, because they mean nothing here.
Status StartClean(int first_free);

// Makes the process fit for a plugin, before any of its code is mapped: dies with `host_pid`, own
// session, no new privileges, private umask, a higher OOM score than the host's. What it was given
// lies below `first_free_fd`. The first failure is returned, and names the system call; what only
// helps is not worth failing for.
//
// Adopts what the plugin's children leave behind when they end, so that the host can tell whose it
// was. Such a process that ends itself stays a zombie until the runner does: nothing tells an
// adopted child from one that the plugin made and may still wait for (after adoption both have the
// same parent, exit signal, and place among its children), and reaping the latter would make the
// plugin's own wait fail. So each process that a plugin sends to the background costs a number of
// the system's until then, and a plugin that waits for any child meets it.
Status PrepareProcess(int host_pid, int first_free_fd);

}  // namespace catchup
