/* A plugin whose dependency is down while there is a file `outage` in its working directory, and
 * that says so by a text that no rule knows. Events whose type ends with "-other" do not need it.
 */
#include <catchup/plugin.h>
#include <string.h>
#include <unistd.h>

struct catchup_instance {
  const catchup_host* host;
};

static catchup_instance g_instance;

static int32_t Create(const catchup_host* host, catchup_instance** out) {
  g_instance.host = host;
  *out = &g_instance;
  return CATCHUP_OK;
}

static void Nothing(catchup_instance* self) { (void)self; }

static int32_t Start(catchup_instance* self) {
  (void)self;
  return CATCHUP_OK;
}

static int EndsWith(catchup_view text, const char* end) {
  const size_t size = strlen(end);
  return text.size >= size && memcmp((const char*)text.data + text.size - size, end, size) == 0;
}

static int32_t Handle(catchup_instance* self, const catchup_event* event) {
  if (EndsWith(event->type, "-other") || access("outage", F_OK) != 0) {
    return CATCHUP_OK;
  }
  const catchup_view text = CATCHUP_LITERAL("its answer makes no sense");
  self->host->set_error(self->host, text);
  return CATCHUP_FAILED;
}

static const catchup_projection kOutage = {
    sizeof kOutage, 0, CATCHUP_LITERAL("outage"), Create, Nothing, Start, Nothing, Handle, NULL};
static const catchup_projection* const kProjections[] = {&kOutage};
static const catchup_plugin kPlugin = {CATCHUP_HEADER, CATCHUP_LITERAL("outage"),
                                       CATCHUP_LITERAL("1"), 1, kProjections};

const catchup_plugin* catchup_plugin_entry(void) { return &kPlugin; }
