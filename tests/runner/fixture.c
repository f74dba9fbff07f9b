/* A plugin that does what the type of each event says, so that a test can see how the runner takes
 * it. Three projections: "plain", "batch" and "keeper". */
#include <catchup/plugin.h>
#include <pthread.h>
#include <search.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/fixture_plugin.h"

struct catchup_instance {
  const catchup_host* host;
};

static catchup_instance g_instance;

static void Log(const catchup_host* host, const char* text) {
  const catchup_view view = {text, strlen(text)};
  host->log(host, CATCHUP_LOG_INFO, view);
}

struct Buffer {
  char bytes[256];
  uint64_t size;
};

/* Takes three bytes at a time, as a sink may. */
static int64_t WriteBuffer(const catchup_sink* sink, const char* data, uint64_t size) {
  struct Buffer* buffer = sink->context;
  const uint64_t taken = size < 3 ? size : 3;
  if (buffer->size + taken >= sizeof buffer->bytes) return -1;
  memcpy(buffer->bytes + buffer->size, data, taken);
  buffer->size += taken;
  return (int64_t)taken;
}

static int32_t Config(const catchup_host* host, const char* path, struct Buffer* buffer) {
  const catchup_sink sink = {sizeof sink, 0, buffer, WriteBuffer};
  const catchup_view view = {path, strlen(path)};
  memset(buffer, 0, sizeof *buffer);
  int32_t kind = CATCHUP_CONFIG_ABSENT;
  const int32_t result = host->config_get(host, view, &kind, &sink);
  return result == CATCHUP_CONFIG_OK ? kind : result;
}

/* One call of the host from a thread of the plugin's own. */
static void* SetErrorElsewhere(void* host) {
  const catchup_view text = CATCHUP_LITERAL("from elsewhere");
  ((const catchup_host*)host)->set_error(host, text);
  return NULL;
}

static void* ReadConfigElsewhere(void* host) {
  struct Buffer buffer;
  (void)Config(host, "absent", &buffer);
  return NULL;
}

static void* GetExtensionElsewhere(void* host) {
  const catchup_view id = CATCHUP_LITERAL("catchup.absent/1");
  (void)((const catchup_host*)host)->get_extension(host, id);
  return NULL;
}

static void* LogElsewhere(void* host) {
  Log(host, "logged elsewhere");
  return NULL;
}

static void Crash(void) {
  volatile int* volatile nowhere = (volatile int*)64;
  *nowhere = 1;
}

static void* CrashElsewhere(void* host) {
  (void)host;
  Crash();
  return NULL;
}

static volatile int g_deeper = 1;

/* Uses each frame after its callee has returned, so that none can be left out. */
static int Overflow(const volatile char* above) {
  volatile char frame[4096];
  frame[0] = above[0];
  return (g_deeper != 0 ? Overflow(frame) : 0) + frame[0];
}

/* Takes the event's own memory away, which a report would name it from. */
static void AbortWithoutEvent(const catchup_event* event) {
  const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
  (void)munmap((void*)((uintptr_t)event->stream.data & ~(page - 1)), page);
  abort();
}

static int Descending(const void* left, const void* right) {
  return left < right ? 1 : left > right ? -1 : 0;
}

/* Aborts at the bottom of a deep tree that the C library walks: none of those frames is ours. */
static void AbortDeep(void) {
  static char keys[1 << 18];
  void* root = NULL;
  for (size_t i = 0; i < sizeof keys; ++i) {
    if (tsearch(keys + i, &root, Descending) == NULL) abort();
  }
  union {
    void (*abort)(void);
    void (*free)(void*);
  } last = {abort};
  tdestroy(root, last.free);
}

static void Elsewhere(const catchup_host* host, void* (*call)(void*)) {
  pthread_t thread;
  if (pthread_create(&thread, NULL, call, (void*)(uintptr_t)host) != 0) abort();
  pthread_join(thread, NULL);
}

/* The status that the configuration names under `path`, for create and start. */
static int32_t Configured(const catchup_host* host, const char* path) {
  struct Buffer buffer;
  if (Config(host, path, &buffer) <= CATCHUP_CONFIG_ABSENT) return CATCHUP_OK;
  const catchup_view text = CATCHUP_LITERAL("as the configuration wants");
  host->set_error(host, text);
  return atoi(buffer.bytes);
}

static int32_t Create(const catchup_host* host, catchup_instance** out) {
  static const char* const kPaths[] = {"database.host", "servers.0", "servers.1", "servers",
                                       "database",      "absent",    "databas",   "empty",
                                       "nothing",       "\"a.b\"",   "a.b",       "a..b"};
  char line[512];
  if (host->struct_size != sizeof *host || host->get_extension(host, host->group) != NULL) {
    return CATCHUP_FATAL;
  }
  snprintf(line, sizeof line, "create %.*s/%.*s lane %u %.*s", (int)host->group.size,
           host->group.data, (int)host->projection.size, host->projection.data, host->lane,
           (int)host->config_json.size, host->config_json.data);
  Log(host, line);
  for (size_t i = 0; i < sizeof kPaths / sizeof kPaths[0]; ++i) {
    struct Buffer buffer;
    const int32_t found = Config(host, kPaths[i], &buffer);
    snprintf(line, sizeof line, "config %s %d %s", kPaths[i], found, buffer.bytes);
    Log(host, line);
  }
  struct Buffer stray;
  if (Config(host, "log-in-create", &stray) > CATCHUP_CONFIG_ABSENT) Elsewhere(host, LogElsewhere);
  const int32_t status = Configured(host, "create");
  if (status == CATCHUP_OK) {
    g_instance.host = host;
    *out = &g_instance;
  }
  return status;
}

static void Destroy(catchup_instance* self) {
  struct Buffer stray;
  Log(self->host, "destroy");
  if (Config(self->host, "log-in-destroy", &stray) > CATCHUP_CONFIG_ABSENT) {
    Elsewhere(self->host, LogElsewhere);
  }
}

static int32_t Start(catchup_instance* self) { return Configured(self->host, "start"); }

static void Stop(catchup_instance* self) {
  struct Buffer stray;
  Log(self->host, "stop");
  if (Config(self->host, "error-in-stop", &stray) > CATCHUP_CONFIG_ABSENT) {
    Elsewhere(self->host, SetErrorElsewhere);
  }
}

static int32_t Fail(catchup_instance* self, int32_t status, const char* text) {
  const catchup_view view = {text, strlen(text)};
  self->host->set_error(self->host, view);
  return status;
}

static void WaitForStop(const catchup_instance* self) {
  Log(self->host, "waiting for a stop");
  while (self->host->stop_requested(self->host) == 0) usleep(1000);
}

static int32_t Do(catchup_instance* self, const catchup_event* event) {
  const catchup_view type = event->type;
  if (Is(type, "ok")) return CATCHUP_OK;
  if (Is(type, "retry")) return Fail(self, CATCHUP_RETRY, "come again");
  if (Is(type, "reject")) return Fail(self, CATCHUP_REJECT, "never");
  if (Is(type, "failed")) return Fail(self, CATCHUP_FAILED, "broken pipe");
  if (Is(type, "failed-silently")) return CATCHUP_FAILED;
  if (Is(type, "fatal")) return Fail(self, CATCHUP_FATAL, "cannot go on");
  if (Is(type, "status-7")) return 7;
  if (Is(type, "status-minus-1")) return -1;
  if (Is(type, "segv")) Crash();
  if (Is(type, "segv-elsewhere")) Elsewhere(self->host, CrashElsewhere);
  if (Is(type, "segv-without-stderr")) {
    close(STDOUT_FILENO);
    close(STDERR_FILENO);
    Crash();
  }
  if (Is(type, "segv-after-output")) {
    fputs("no line feed", stderr);
    Crash();
  }
  if (Is(type, "abort-deep-in-libc")) AbortDeep();
  if (Is(type, "overflow")) return Overflow(type.data);
  if (Is(type, "abort-without-event")) AbortWithoutEvent(event);
  if (Is(type, "abort")) abort();
  if (Is(type, "exit")) exit(3);
  if (Is(type, "exit-81")) exit(81);
  if (Is(type, "_exit")) _exit(4);
  if (Is(type, "hang")) {
    for (volatile uint64_t i = 0;; ++i) {
    }
  }
  if (Is(type, "until-stop")) WaitForStop(self);
  if (Is(type, "sigterm")) raise(SIGTERM);
  if (Is(type, "log-elsewhere")) Elsewhere(self->host, LogElsewhere);
  if (Is(type, "error-elsewhere")) Elsewhere(self->host, SetErrorElsewhere);
  if (Is(type, "config-elsewhere")) Elsewhere(self->host, ReadConfigElsewhere);
  if (Is(type, "extension-elsewhere")) Elsewhere(self->host, GetExtensionElsewhere);
  if (Is(type, "say")) {
    const catchup_view said = event->data;
    self->host->log(self->host, CATCHUP_LOG_WARN, said);
    self->host->log(self->host, 99, event->stream);
  }
  return CATCHUP_OK;
}

static int32_t HandleBatch(catchup_instance* self, const catchup_event* const* events,
                           uint64_t count, uint64_t* applied) {
  char line[64];
  snprintf(line, sizeof line, "batch of %u", (unsigned)count);
  Log(self->host, line);
  for (uint64_t i = 0; i < count; ++i) {
    if (Is(events[i]->type, "false-count")) {
      *applied = count + 1;
      return CATCHUP_FAILED;
    }
    if (Is(events[i]->type, "nonsense")) {
      *applied = count;
      return 77;
    }
    if (Is(events[i]->type, "short-ok")) {
      *applied = 1;
      return CATCHUP_OK;
    }
    const int32_t status = Do(self, events[i]);
    if (status != CATCHUP_OK) {
      *applied = i;
      return status;
    }
  }
  return CATCHUP_OK;
}

static const catchup_batch kBatch = {sizeof kBatch, 8, HandleBatch};

static const void* BatchExtension(const catchup_projection* self, catchup_view id) {
  (void)self;
  return Is(id, CATCHUP_EXT_BATCH) ? &kBatch : NULL;
}

static int32_t LoadPosition(catchup_instance* self, uint64_t token, catchup_loaded_position* out) {
  struct Buffer buffer;
  if (token == 99) return Fail(self, CATCHUP_FATAL, "fenced: token 100 seen, ours 99");
  if (Config(self->host, "stored", &buffer) > CATCHUP_CONFIG_ABSENT) {
    out->present = 1;
    out->position.commit = (uint64_t)atoi(buffer.bytes);
    out->position.prepare = out->position.commit - 1;
  }
  return CATCHUP_OK;
}

static int32_t HandleAt(catchup_instance* self, const catchup_event* const* events, uint64_t count,
                        const catchup_position* previous, const catchup_position* position,
                        uint64_t token) {
  char line[200];
  snprintf(line, sizeof line, "at %u %lld -> %llu token %llu", (unsigned)count,
           previous == NULL ? -1 : (long long)previous->commit,
           (unsigned long long)position->commit, (unsigned long long)token);
  Log(self->host, line);
  for (uint64_t i = 0; i < count; ++i) {
    const int32_t status = Do(self, events[i]);
    if (status != CATCHUP_OK) return status;
  }
  return CATCHUP_OK;
}

static int32_t SetPosition(catchup_instance* self, const catchup_position* position,
                           uint64_t token) {
  (void)self;
  (void)position;
  (void)token;
  return CATCHUP_OK;
}

static const catchup_position_keeper kKeeper = {sizeof kKeeper, 4, LoadPosition, HandleAt,
                                                SetPosition};

static const void* KeeperExtension(const catchup_projection* self, catchup_view id) {
  (void)self;
  return Is(id, CATCHUP_EXT_POSITION) ? &kKeeper : NULL;
}

static const catchup_projection kPlain = {
    sizeof kPlain, 0, CATCHUP_LITERAL("plain"), Create, Destroy, Start, Stop, Do, NoExtension};
static const catchup_projection kBatchProjection = {
    sizeof kPlain, 0, CATCHUP_LITERAL("batch"), Create, Destroy, Start, Stop, Do, BatchExtension};
static const catchup_projection kKeeperProjection = {
    sizeof kPlain,  0, CATCHUP_LITERAL("keeper"), Create, Destroy, Start, Stop, NULL,
    KeeperExtension};
static const catchup_projection* const kProjections[] = {&kPlain, &kBatchProjection,
                                                         &kKeeperProjection};
static const catchup_plugin kPlugin = {CATCHUP_HEADER, CATCHUP_LITERAL("fixture"),
                                       CATCHUP_LITERAL("1.2.3"), 3, kProjections};

const catchup_plugin* catchup_plugin_entry(void) { return &kPlugin; }
