/* Notes how long each event was on its way: its data is the time of its making, in nanoseconds of
 * CLOCK_MONOTONIC as text. stop writes the notes to the file `latencies`, one number of
 * microseconds a line. */
#include <catchup/plugin.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { kMostNotes = 1 << 20 };

struct catchup_instance {
  double* notes;
  size_t count;
};

static catchup_instance g_instance;

static int32_t Create(const catchup_host* host, catchup_instance** out) {
  (void)host;
  *out = &g_instance;
  return CATCHUP_OK;
}

static void Destroy(catchup_instance* self) { (void)self; }

static int32_t Start(catchup_instance* self) {
  self->count = 0;
  self->notes = malloc(kMostNotes * sizeof *self->notes);
  return self->notes == NULL ? CATCHUP_RETRY : CATCHUP_OK;
}

static int32_t Handle(catchup_instance* self, const catchup_event* event) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  char text[32] = {0};
  if (event->data.size >= sizeof text || self->count == kMostNotes) {
    return CATCHUP_REJECT;
  }
  memcpy(text, event->data.data, event->data.size);
  const long long made = strtoll(text, NULL, 10);
  const long long arrived = (long long)now.tv_sec * 1000000000 + now.tv_nsec;
  self->notes[self->count++] = (double)(arrived - made) / 1e3;
  return CATCHUP_OK;
}

static void Stop(catchup_instance* self) {
  FILE* file = fopen("latencies", "w");
  for (size_t i = 0; file != NULL && i < self->count; ++i) {
    fprintf(file, "%.1f\n", self->notes[i]);
  }
  if (file != NULL) {
    fclose(file);
  }
  free(self->notes);
  self->notes = NULL;
}

static const catchup_projection kLatency = {
    sizeof kLatency, 0, CATCHUP_LITERAL("latency"), Create, Destroy, Start, Stop, Handle, NULL};
static const catchup_projection* const kProjections[] = {&kLatency};
static const catchup_plugin kPlugin = {CATCHUP_HEADER, CATCHUP_LITERAL("latency"),
                                       CATCHUP_LITERAL("1"), 1, kProjections};

const catchup_plugin* catchup_plugin_entry(void) { return &kPlugin; }
