/* A plugin that misbehaves while it is loaded, as its build says, or in a call, as an event says.
 * What it starts notes its pid in the file that HELPER_FILE names, else in `helper`. */
#include <catchup/plugin.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "tests/fixture_plugin.h"

struct catchup_instance {
  const catchup_host* host;
};

static catchup_instance g_instance;

static void Note(const char* file) {
  FILE* out = fopen(file, "a");
  if (out == NULL) abort();
  fprintf(out, "%d\n", (int)getpid());
  fclose(out);
}

/* A process that leaves the session of the runner and lives on. It keeps the runner's output. */
static void StartHelper(void) {
  const char* file = getenv("HELPER_FILE");
  int ready[2];
  char byte;
  if (pipe(ready) != 0) abort();
  if (fork() == 0) {
    setsid();
    if (fork() != 0) _exit(0);
    signal(SIGTERM, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    Note(file != NULL ? file : "helper");
    close(ready[0]);
    close(ready[1]);
    for (;;) pause();
  }
  close(ready[1]);
  while (read(ready[0], &byte, 1) > 0) {
  }
  close(ready[0]);
}

#ifdef UNRULY_EXITS
__attribute__((constructor)) static void Exit(void) {
  printf("unruly 9.9.9 unruly\n");
  fflush(stdout);
  exit(0);
}
#endif
#ifdef UNRULY_ABORTS
__attribute__((constructor)) static void Abort(void) {
  fprintf(stderr, "a banner\nno licence was found\n");
  abort();
}
#endif
#ifdef UNRULY_PRINTS
__attribute__((constructor)) static void Print(void) {
  for (int i = 0; i < 4000; ++i) printf("a banner, line %d of many that nobody asked for\n", i);
  fflush(stdout);
}
#endif
#ifdef UNRULY_HELPS
__attribute__((constructor)) static void Help(void) { StartHelper(); }
#endif
#ifdef UNRULY_FORKS
/* Both sides go on from here; the child is ended with the parent. */
__attribute__((constructor)) static void Fork(void) {
  if (fork() == 0) return;
  exit(3);
}
#endif
#ifdef UNRULY_DAWDLES
__attribute__((constructor)) static void Dawdle(void) { usleep(600 * 1000); }
#endif
#ifdef UNRULY_HANGS
__attribute__((constructor)) static void Hang(void) {
  Note(getenv("HELPER_FILE"));
  for (;;) pause();
}
#endif
#ifdef UNRULY_CLOSES
__attribute__((constructor)) static void Close(void) {
  for (int fd = 0; fd < 256; ++fd) close(fd);
}
#endif

static int Configured(const catchup_host* host, const char* path) {
  const catchup_view view = {path, strlen(path)};
  int32_t kind = CATCHUP_CONFIG_ABSENT;
  host->config_get(host, view, &kind, NULL);
  return kind != CATCHUP_CONFIG_ABSENT;
}

static int32_t Fail(const catchup_host* host, int32_t status, const char* text) {
  const catchup_view view = {text, strlen(text)};
  host->set_error(host, view);
  return status;
}

/* Knows `database` and what is asked for here. */
static int32_t Create(const catchup_host* host, catchup_instance** out) {
  g_instance.host = host;
  if (Configured(host, "databse")) return Fail(host, CATCHUP_FATAL, "unknown key \"databse\"");
  if (Configured(host, "wants_env") && getenv("UNRULY_WISH") == NULL) {
    return Fail(host, CATCHUP_FATAL, "UNRULY_WISH is not set");
  }
  if (Configured(host, "helper")) StartHelper();
  if (Configured(host, "status")) return 42;
  while (Configured(host, "hang")) pause();
  *out = &g_instance;
  return CATCHUP_OK;
}

static void Destroy(catchup_instance* self) { (void)self; }

static int32_t Start(catchup_instance* self) {
  (void)self;
  if (getenv("STARTED_FILE") != NULL) Note(getenv("STARTED_FILE"));
  return CATCHUP_OK;
}

static void Stop(catchup_instance* self) { (void)self; }

/* How many files may be open, and the names in the environment. */
static int32_t SayLimits(const catchup_host* host) {
  extern char** environ;
  char text[512];
  struct rlimit files;
  getrlimit(RLIMIT_NOFILE, &files);
  snprintf(text, sizeof text, "%u files,", (unsigned)files.rlim_cur);
  for (char** one = environ; *one != NULL; ++one) {
    const size_t size = strlen(text);
    snprintf(text + size, sizeof text - size, " %.*s", (int)strcspn(*one, "="), *one);
  }
  return Fail(host, CATCHUP_REJECT, text);
}

static int32_t Handle(catchup_instance* self, const catchup_event* event) {
  if (Is(event->type, "helper")) StartHelper();
  if (Is(event->type, "limits")) return SayLimits(self->host);
  if (Is(event->type, "die")) abort();
  if (Is(event->type, "status-7")) return 7;
  while (Is(event->type, "hang")) pause();
  return CATCHUP_OK;
}

static const void* Extension(const catchup_projection* self, catchup_view id) {
  (void)self;
  (void)id;
#ifdef UNRULY_ABORTS_IN_A_TABLE
  if (Is(self->name, "second")) abort();
#endif
  return NULL;
}

static const catchup_projection kUnruly = {
    sizeof kUnruly, 0, CATCHUP_LITERAL("unruly"), Create, Destroy, Start, Stop, Handle, Extension};
#ifdef UNRULY_ABORTS_IN_A_TABLE
static const catchup_projection kSecond = {
    sizeof kSecond, 0, CATCHUP_LITERAL("second"), Create, Destroy, Start, Stop, Handle, Extension};
static const catchup_projection* const kProjections[] = {&kUnruly, &kSecond};
#else
static const catchup_projection* const kProjections[] = {&kUnruly};
#endif
static const catchup_plugin kPlugin = {CATCHUP_HEADER, CATCHUP_LITERAL("unruly"),
                                       CATCHUP_LITERAL("1.0.0"),
                                       sizeof kProjections / sizeof kProjections[0], kProjections};

const catchup_plugin* catchup_plugin_entry(void) { return &kPlugin; }
