/* Dies of SIGSEGV on every second event, the first time it is given to it, and notes how long it
 * took until the event came again: one number of milliseconds a line in the file `respawns`. The
 * time of the death lies in the file `died` meanwhile. */
#include <catchup/plugin.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

struct catchup_instance {
  unsigned long long calls;
};

static catchup_instance g_instance;

static int32_t Create(const catchup_host* host, catchup_instance** out) {
  (void)host;
  *out = &g_instance;
  return CATCHUP_OK;
}

static void Destroy(catchup_instance* self) { (void)self; }
static int32_t Start(catchup_instance* self) { return self == NULL ? CATCHUP_FATAL : CATCHUP_OK; }
static void Stop(catchup_instance* self) { (void)self; }

static double NowMs(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

static void Die(void) {
  volatile int* volatile nowhere = (volatile int*)64;
  FILE* file = fopen("died", "w");
  if (file == NULL) return;
  fprintf(file, "%.3f\n", NowMs());
  fclose(file);
  *nowhere = 1;
}

static int32_t Handle(catchup_instance* self, const catchup_event* event) {
  double died = 0;
  FILE* file = fopen("died", "r");
  (void)event;
  if (file == NULL) {
    if (++self->calls % 2 == 0) Die();
    return CATCHUP_OK;
  }
  const double now = NowMs();
  if (fscanf(file, "%lf", &died) != 1) died = now;
  fclose(file);
  unlink("died");
  file = fopen("respawns", "a");
  if (file == NULL) return CATCHUP_RETRY;
  fprintf(file, "%.3f\n", now - died);
  fclose(file);
  return CATCHUP_OK;
}

static const catchup_projection kDying = {
    sizeof kDying, 0, CATCHUP_LITERAL("dying"), Create, Destroy, Start, Stop, Handle, NULL};
static const catchup_projection* const kProjections[] = {&kDying};
static const catchup_plugin kPlugin = {CATCHUP_HEADER, CATCHUP_LITERAL("dying"),
                                       CATCHUP_LITERAL("1"), 1, kProjections};

const catchup_plugin* catchup_plugin_entry(void) { return &kPlugin; }
