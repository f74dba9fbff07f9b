/* A plugin that does nothing, or refuses everything, so that what is left is the cost of carrying
 * the events. */
#include <catchup/plugin.h>
#include <string.h>

struct catchup_instance {
  int nothing;
};

static catchup_instance g_instance;

static int32_t Create(const catchup_host* host, catchup_instance** out) {
  (void)host;
  *out = &g_instance;
  return CATCHUP_OK;
}

static void Nothing(catchup_instance* self) { (void)self; }

static int32_t Start(catchup_instance* self) {
  (void)self;
  return CATCHUP_OK;
}

static int32_t Handle(catchup_instance* self, const catchup_event* event) {
  (void)self;
  (void)event;
  return CATCHUP_OK;
}

static int32_t Refuse(catchup_instance* self, const catchup_event* event) {
  (void)self;
  (void)event;
  return CATCHUP_REJECT;
}

static int32_t HandleBatch(catchup_instance* self, const catchup_event* const* events,
                           uint64_t count, uint64_t* applied) {
  (void)self;
  (void)events;
  (void)count;
  (void)applied;
  return CATCHUP_OK;
}

static const catchup_batch kBatch = {sizeof kBatch, 1024, HandleBatch};

static const void* Extension(const catchup_projection* self, catchup_view id) {
  (void)self;
  if (id.size == strlen(CATCHUP_EXT_BATCH) && memcmp(id.data, CATCHUP_EXT_BATCH, id.size) == 0) {
    return &kBatch;
  }
  return NULL;
}

static const catchup_projection kPlain = {
    sizeof kPlain, 0, CATCHUP_LITERAL("plain"), Create, Nothing, Start, Nothing, Handle, NULL};
static const catchup_projection kBatched = {
    sizeof kPlain, 0, CATCHUP_LITERAL("batch"), Create, Nothing, Start, Nothing, Handle, Extension};
static const catchup_projection kRefusing = {
    sizeof kPlain, 0, CATCHUP_LITERAL("refuse"), Create, Nothing, Start, Nothing, Refuse, NULL};
static const catchup_projection* const kProjections[] = {&kPlain, &kBatched, &kRefusing};
static const catchup_plugin kPlugin = {CATCHUP_HEADER, CATCHUP_LITERAL("noop"),
                                       CATCHUP_LITERAL("1"), 3, kProjections};

const catchup_plugin* catchup_plugin_entry(void) { return &kPlugin; }
