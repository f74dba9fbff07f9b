/* Counts events by their type: a projection in plain C.
 *
 * Configuration: `file`, whose relative path counts from the working directory. The file is read
 * back when an instance is made and replaced once a batch; counts.h has its form.
 *
 * At least once: when the process dies between replacing the file and the host's next checkpoint,
 * the events of that batch come again and are counted again. See order_totals for a projection that
 * counts exactly. */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "catchup/helpers.h"
#include "counts.h"

/* The longest path Linux takes, with its end. */
#define PATH_SIZE 4096u

/* Replacing the file costs two syncs, some milliseconds, so a batch is as large as the host likes:
 * more events than this do not wait for one plugin anyway. */
#define MAX_EVENTS 4096u

struct catchup_instance {
  const catchup_host* host;
  counts counts;
  char path[PATH_SIZE];
};

/* A sink into a buffer of PATH_SIZE, which keeps room for the end of the string. */
typedef struct path_buffer {
  char* data;
  size_t size;
} path_buffer;

static int64_t write_path(const catchup_sink* sink, const char* data, uint64_t size) {
  path_buffer* const buffer = sink->context;
  if (size > PATH_SIZE - 1 - buffer->size) return -1;
  if (size != 0) memcpy(buffer->data + buffer->size, data, (size_t)size);
  buffer->size += (size_t)size;
  return (int64_t)size;
}

/* Whether a shell, a template or a URL's reader would make another name of it. Taken to the letter
 * it makes odd folders. In C++ Host::RequirePath knows more of these. */
static int is_for_others_to_replace(const char* path) {
  const char* variable = path;
  while ((variable = strchr(variable, '$')) != NULL) {
    ++variable;
    if (isalpha((unsigned char)*variable) || strspn(variable, "{(_") != 0) return 1;
  }
  return path[0] == '~' || strstr(path, "{{") != NULL || strstr(path, "://") != NULL;
}

static int32_t read_config(catchup_instance* self) {
  const catchup_host* const host = self->host;
  path_buffer buffer = {self->path, 0};
  const catchup_sink sink = {sizeof sink, 0, &buffer, write_path};
  const catchup_view key = CATCHUP_LITERAL("file");
  int32_t kind = CATCHUP_CONFIG_ABSENT;
  const int32_t result = host->config_get(host, key, &kind, &sink);
  switch (kind) {
    case CATCHUP_CONFIG_TEXT:
      break;
    case CATCHUP_CONFIG_ABSENT:
      return catchup_fail(host, CATCHUP_FATAL, "config \"file\": found nothing, wanted a path");
    case CATCHUP_CONFIG_NUMBER:
      return catchup_fail(host, CATCHUP_FATAL, "config \"file\": found a number, wanted a path");
    case CATCHUP_CONFIG_BOOLEAN:
      return catchup_fail(host, CATCHUP_FATAL, "config \"file\": found a boolean, wanted a path");
    default:
      return catchup_fail(host, CATCHUP_FATAL,
                          "config \"file\": found a table or a list, wanted a path");
  }
  if (result != CATCHUP_CONFIG_OK) {
    return catchup_fail(host, CATCHUP_FATAL,
                        "config \"file\": found more than 4095 bytes, wanted a path");
  }
  self->path[buffer.size] = '\0';
  if (buffer.size == 0 || strlen(self->path) != buffer.size) {
    return catchup_fail(host, CATCHUP_FATAL,
                        "config \"file\": found an empty text or a zero in it, "
                        "wanted a path");
  }
  if (is_for_others_to_replace(self->path)) {
    return catchup_fail(
        host, CATCHUP_FATAL,
        "config \"file\": found \"~\", a variable, \"{{\" or a URL, wanted a whole path, "
        "because nothing is replaced in it");
  }
  return CATCHUP_OK;
}

static int32_t create(const catchup_host* host, catchup_instance** out) {
  catchup_instance* const self = calloc(1, sizeof *self);
  if (self == NULL) return catchup_fail(host, CATCHUP_RETRY, "out of memory for an instance");
  self->host = host;
  counts_init(&self->counts);
  int32_t status = read_config(self);
  if (status == CATCHUP_OK && counts_load(&self->counts, self->path) != 0) {
    status = catchup_fail(host, CATCHUP_FATAL, self->counts.error);
  }
  if (status != CATCHUP_OK) {
    counts_free(&self->counts);
    free(self);
    return status;
  }
  *out = self;
  return CATCHUP_OK;
}

static void destroy(catchup_instance* self) {
  counts_free(&self->counts);
  free(self);
}

/* Nothing is open between two calls, but what only a person can mend should show before the first
 * event: a folder that is not there, a permission. */
static int32_t start(catchup_instance* self) {
  const int error = counts_save(&self->counts, self->path);
  if (error == 0) return CATCHUP_OK;
  const int misconfigured = error == EACCES || error == EISDIR || error == ELOOP ||
                            error == ENAMETOOLONG || error == ENOENT || error == ENOTDIR ||
                            error == EPERM;
  return catchup_fail(self->host, misconfigured ? CATCHUP_FATAL : CATCHUP_RETRY,
                      self->counts.error);
}

static void stop(catchup_instance* self) { (void)self; }

/* All events or none, so *applied stays 0. */
static int32_t handle_batch(catchup_instance* self, const catchup_event* const* events,
                            uint64_t count, uint64_t* applied) {
  (void)applied;
  for (uint64_t i = 0; i < count; ++i) {
    if (counts_add(&self->counts, events[i]->type.data, (size_t)events[i]->type.size) != 0) {
      counts_forget_pending(&self->counts);
      return catchup_fail(self->host, CATCHUP_FATAL, self->counts.error);
    }
  }
  if (counts_save(&self->counts, self->path) == 0) return CATCHUP_OK;
  counts_forget_pending(&self->counts);
  /* Whatever it is: the path was right at the start, so what is missing may come back. */
  return catchup_fail(self->host, CATCHUP_RETRY, self->counts.error);
}

static int32_t handle(catchup_instance* self, const catchup_event* event) {
  uint64_t applied = 0;
  return handle_batch(self, &event, 1, &applied);
}

static const catchup_batch kBatch = {sizeof kBatch, MAX_EVENTS, handle_batch};

static const void* get_extension(const catchup_projection* self, catchup_view id) {
  (void)self;
  return catchup_equals(id, CATCHUP_EXT_BATCH) ? &kBatch : NULL;
}

static const catchup_projection kProjection = {
    .struct_size = sizeof kProjection,
    .name = CATCHUP_LITERAL("event-counter"),
    .create = create,
    .destroy = destroy,
    .start = start,
    .stop = stop,
    .handle = handle,
    .get_extension = get_extension,
};

static const catchup_projection* const kProjections[] = {&kProjection};

static const catchup_plugin kPlugin = {
    .header = CATCHUP_HEADER,
    .name = CATCHUP_LITERAL("event_counter"),
    .version = CATCHUP_LITERAL("1.0.0"),
    .projection_count = sizeof kProjections / sizeof kProjections[0],
    .projections = kProjections,
};

const catchup_plugin* catchup_plugin_entry(void) { return &kPlugin; }
