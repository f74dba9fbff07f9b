/* A plugin that misbehaves towards whoever watches it: it prints more than a pipe holds, puts
 * controls into its texts, closes descriptors that are not its own, or never answers. */
#include <catchup/plugin.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/fixture_plugin.h"

struct catchup_instance {
  const catchup_host* host;
  int flood_at_stop;
};

static catchup_instance g_instance;

/* 90,000 bytes: a pipe holds 65,536. */
static void Flood(void) {
  for (int i = 0; i < 2000; ++i) printf("line %04d of a long and useless explanation\n", i);
  fflush(stdout);
}

/* More than the host can have taken by the end of the call. */
static void FloodTheLog(const catchup_host* host) {
  static const catchup_view line = CATCHUP_LITERAL("once more");
  for (int i = 0; i < 20000; ++i) host->log(host, CATCHUP_LOG_WARN, line);
}

static int32_t Create(const catchup_host* host, catchup_instance** out) {
  g_instance.host = host;
  if (host->config_json.size > 2) Flood();
  *out = &g_instance;
  return CATCHUP_OK;
}

static void Destroy(catchup_instance* self) { (void)self; }

static int32_t Start(catchup_instance* self) {
  (void)self;
  return CATCHUP_OK;
}

static void Stop(catchup_instance* self) {
  if (self->flood_at_stop) Flood();
  printf("a last word without a line feed");
  fflush(stdout);
}

static int32_t Reject(catchup_instance* self) {
  static const char kText[] = "first\nsecond\t\x01 \x1b[31mred \"quoted\" back\\slash";
  const catchup_view text = {kText, sizeof kText - 1};
  self->host->log(self->host, CATCHUP_LOG_INFO, text);
  self->host->set_error(self->host, text);
  return CATCHUP_REJECT;
}

static int32_t Handle(catchup_instance* self, const catchup_event* event) {
  if (Is(event->type, "flood")) Flood();
  if (Is(event->type, "flood-the-log")) FloodTheLog(self->host);
  if (Is(event->type, "flood-at-stop")) self->flood_at_stop = 1;
  if (Is(event->type, "controls")) return Reject(self);
  if (Is(event->type, "close-all")) {
    for (int fd = 0; fd < 256; ++fd) close(fd);
  }
  while (Is(event->type, "hang")) pause();
  return CATCHUP_OK;
}

FIXTURE_PLUGIN("noisy", "noisy")
