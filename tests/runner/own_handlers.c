/* A plugin whose runtime recovers from faults of its own and hands on what is not: as Go's does. */
#include <catchup/plugin.h>
#include <setjmp.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>

#include "tests/fixture_plugin.h"

struct catchup_instance {
  int unused;
};

static catchup_instance g_instance;
static struct sigaction g_before;
static sigjmp_buf g_recovery;
static volatile sig_atomic_t g_recovers;

static void OnFault(int number, siginfo_t* info, void* context) {
  if (g_recovers) {
    g_recovers = 0;
    siglongjmp(g_recovery, 1);
  }
  if ((g_before.sa_flags & SA_SIGINFO) != 0) {
    g_before.sa_sigaction(number, info, context);
  } else {
    g_before.sa_handler(number);
  }
  g_recovers = 0; /* So that neither is a jump, which would leave no frame of this one. */
}

/* While it is loaded, as a runtime does it. */
__attribute__((constructor)) static void TakeSignals(void) {
  struct sigaction action;
  memset(&action, 0, sizeof action);
  action.sa_sigaction = OnFault;
  action.sa_flags = SA_SIGINFO | SA_ONSTACK;
  sigaction(SIGSEGV, &action, &g_before);
}

static void Dereference(void) {
  volatile int* volatile nowhere = (volatile int*)64;
  *nowhere = 1;
}

static int32_t Create(const catchup_host* host, catchup_instance** out) {
  (void)host;
  *out = &g_instance;
  return CATCHUP_OK;
}

static void Destroy(catchup_instance* self) { (void)self; }

static int32_t Start(catchup_instance* self) {
  (void)self;
  return CATCHUP_OK;
}

static void Stop(catchup_instance* self) { (void)self; }

static int32_t Handle(catchup_instance* self, const catchup_event* event) {
  (void)self;
  if (Is(event->type, "recover")) {
    if (sigsetjmp(g_recovery, 1) == 0) {
      g_recovers = 1;
      Dereference();
    }
  }
  if (Is(event->type, "segv")) Dereference();
  return CATCHUP_OK;
}

FIXTURE_PLUGIN("own-handlers", "only")
