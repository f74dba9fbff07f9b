/* A plugin with one thing wrong, chosen by a definition of the build. */
#include <catchup/plugin.h>
#include <signal.h>
#include <stddef.h>

static int32_t Create(const catchup_host* host, catchup_instance** out) {
  (void)host;
  (void)out;
  return CATCHUP_OK;
}

static void Nothing(catchup_instance* self) { (void)self; }

static int32_t Start(catchup_instance* self) {
  (void)self;
  return CATCHUP_OK;
}

#ifdef BROKEN_UNDEFINED_SYMBOL
int32_t function_that_nobody_defines(void);
#endif

#ifdef BROKEN_TAKES_SIGNALS
__attribute__((constructor)) static void TakeSignals(void) { signal(SIGABRT, SIG_DFL); }
#endif

static int32_t Handle(catchup_instance* self, const catchup_event* event) {
  (void)self;
  (void)event;
#ifdef BROKEN_TAKES_SIGNALS
  raise(SIGABRT);
#endif
#ifdef BROKEN_UNDEFINED_SYMBOL
  return function_that_nobody_defines();
#else
  return CATCHUP_OK;
#endif
}

static const void* Extension(const catchup_projection* self, catchup_view id) {
  (void)self;
  (void)id;
#ifdef BROKEN_NO_BATCH_FUNCTION
  static const catchup_batch kBatch = {sizeof kBatch, 1, NULL};
  return id.size == sizeof(CATCHUP_EXT_BATCH) - 1 && id.data[8] == 'b' ? &kBatch : NULL;
#elif defined(BROKEN_SHORT_BATCH)
  static const catchup_batch kBatch = {offsetof(catchup_batch, handle_batch), 1, (void*)Handle};
  return id.size == sizeof(CATCHUP_EXT_BATCH) - 1 && id.data[8] == 'b' ? &kBatch : NULL;
#elif defined(BROKEN_BATCH_OF_NONE)
  static const catchup_batch kBatch = {sizeof kBatch, 0, (void*)Handle};
  return id.size == sizeof(CATCHUP_EXT_BATCH) - 1 && id.data[8] == 'b' ? &kBatch : NULL;
#else
  return NULL;
#endif
}

static const catchup_projection kProjection = {
#ifdef BROKEN_NAMELESS_TABLE
    offsetof(catchup_projection, name),
#elif defined(BROKEN_SHORT_TABLE)
    offsetof(catchup_projection, stop),
#elif defined(BROKEN_OLD_TABLE)
    /* Not wrong, only older: what lies behind is not its own to call. */
    offsetof(catchup_projection, get_extension),
#else
    sizeof kProjection,
#endif
    0,
#ifdef BROKEN_NAME
    CATCHUP_LITERAL("Not_A_Name"),
#else
    CATCHUP_LITERAL("only"),
#endif
#ifdef BROKEN_NO_CREATE
    NULL,
#else
    Create,
#endif
    Nothing,
    Start,
    Nothing,
#ifdef BROKEN_NO_HANDLE
    NULL,
#else
    Handle,
#endif
#ifdef BROKEN_OLD_TABLE
    (void*)8,
#else
    Extension,
#endif
};

static const catchup_projection* const kProjections[] = {
#ifdef BROKEN_NULL_PROJECTION
    NULL,
#else
    &kProjection,
#endif
    &kProjection};

#ifdef BROKEN_MAGIC
#define MAGIC UINT32_C(0x12345678)
#else
#define MAGIC CATCHUP_MAGIC
#endif
#ifdef BROKEN_MAJOR
#define MAJOR CATCHUP_ABI_MAJOR + 1
#else
#define MAJOR CATCHUP_ABI_MAJOR
#endif
#ifdef BROKEN_MINOR
#define MINOR CATCHUP_ABI_MINOR + 1
#else
#define MINOR 0
#endif
#ifdef BROKEN_SIZE
#define SIZE 16
#else
#define SIZE sizeof(catchup_plugin)
#endif
#ifdef BROKEN_NO_PLUGIN_NAME
#define NAME_OF_PLUGIN ""
#else
#define NAME_OF_PLUGIN "broken"
#endif
#ifdef BROKEN_NO_VERSION
#define VERSION ""
#else
#define VERSION "0.1"
#endif
#ifdef BROKEN_NO_PROJECTION
#define COUNT 0
#elif defined(BROKEN_TWICE)
#define COUNT 2
#else
#define COUNT 1
#endif

static const catchup_plugin kPlugin = {{MAGIC, SIZE, MAJOR, MINOR, 0},
                                       CATCHUP_LITERAL(NAME_OF_PLUGIN),
                                       CATCHUP_LITERAL(VERSION),
                                       COUNT,
                                       kProjections};

const catchup_plugin* catchup_plugin_entry(void) {
#ifdef BROKEN_NULL_ENTRY
  return NULL;
#else
  return &kPlugin;
#endif
}
