/* For fsync, getline and strerror_r, also where the compiler is told to be strict. */
#define _POSIX_C_SOURCE 200809L

#include "counts.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct count_entry {
  char* type;
  size_t type_size;
  uint64_t count;   /* in the file */
  uint64_t pending; /* not yet */
};

static int fail(counts* self, const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(self->error, sizeof self->error, format, arguments);
  va_end(arguments);
  return -1;
}

/* Says what could not be done to the file at `path`, and the system's reason. */
static int fail_with_errno(counts* self, const char* path, const char* what, int error) {
  char reason[128];
  if (strerror_r(error, reason, sizeof reason) != 0) reason[0] = '\0';
  return fail(self, "%s: %s: %s (errno %d)", path, what, reason, error);
}

void counts_init(counts* self) { memset(self, 0, sizeof *self); }

void counts_free(counts* self) {
  for (size_t i = 0; i < self->size; ++i) free(self->entries[i].type);
  free(self->entries);
  counts_init(self);
}

static int compare(const count_entry* entry, const char* type, size_t type_size) {
  const size_t common = entry->type_size < type_size ? entry->type_size : type_size;
  const int order = common == 0 ? 0 : memcmp(entry->type, type, common);
  if (order != 0) return order;
  return entry->type_size < type_size ? -1 : entry->type_size > type_size;
}

/* The index of the first entry that is not before `type`. */
static size_t lower_bound(const counts* self, const char* type, size_t type_size) {
  size_t low = 0;
  size_t high = self->size;
  while (low < high) {
    const size_t middle = low + (high - low) / 2;
    if (compare(&self->entries[middle], type, type_size) < 0) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low;
}

/* The entry of `type`, made if need be; null with `error` set if that is not possible. */
static count_entry* entry_of(counts* self, const char* type, size_t type_size) {
  const size_t at = lower_bound(self, type, type_size);
  if (at < self->size && compare(&self->entries[at], type, type_size) == 0) {
    return &self->entries[at];
  }
  if (self->size == COUNTS_MAX_TYPES) {
    fail(self, "found more event types than %u, wanted at most that many", COUNTS_MAX_TYPES);
    return NULL;
  }
  if (self->size == self->capacity) {
    const size_t capacity = self->capacity == 0 ? 16 : self->capacity * 2;
    count_entry* const entries = realloc(self->entries, capacity * sizeof *entries);
    if (entries == NULL) {
      fail(self, "out of memory for %zu event types", capacity);
      return NULL;
    }
    self->entries = entries;
    self->capacity = capacity;
  }
  char* const copy = malloc(type_size + 1);
  if (copy == NULL) {
    fail(self, "out of memory for an event type of %zu bytes", type_size);
    return NULL;
  }
  if (type_size != 0) memcpy(copy, type, type_size);
  count_entry* const entry = &self->entries[at];
  memmove(entry + 1, entry, (self->size - at) * sizeof *entry);
  *entry = (count_entry){copy, type_size, 0, 0};
  ++self->size;
  return entry;
}

int counts_add(counts* self, const char* type, size_t type_size) {
  count_entry* const entry = entry_of(self, type, type_size);
  if (entry == NULL) return -1;
  ++entry->pending;
  return 0;
}

void counts_forget_pending(counts* self) {
  for (size_t i = 0; i < self->size; ++i) self->entries[i].pending = 0;
}

/* Undoes the escapes of `text` in place. Returns the new size, or -1 for an escape that is none. */
static ptrdiff_t unescape(char* text, size_t size) {
  size_t to = 0;
  for (size_t from = 0; from < size; ++from) {
    if (text[from] != '\\') {
      text[to++] = text[from];
      continue;
    }
    if (++from == size) return -1;
    switch (text[from]) {
      case 't':
        text[to++] = '\t';
        break;
      case 'n':
        text[to++] = '\n';
        break;
      case 'r':
        text[to++] = '\r';
        break;
      case '\\':
        text[to++] = '\\';
        break;
      default:
        return -1;
    }
  }
  return (ptrdiff_t)to;
}

/* Reads one line without its line feed. */
static int load_line(counts* self, const char* path, size_t number, char* line, size_t size) {
  char* const tab = memchr(line, '\t', size);
  if (tab == NULL) {
    return fail(self, "%s:%zu: found a line without a tab, wanted type<TAB>count", path, number);
  }
  char* end = NULL;
  errno = 0;
  const unsigned long long count = strtoull(tab + 1, &end, 10);
  if (errno != 0 || tab[1] < '0' || tab[1] > '9' || end != line + size) {
    return fail(self, "%s:%zu: found \"%.100s\", wanted a count", path, number, tab + 1);
  }
  const ptrdiff_t type_size = unescape(line, (size_t)(tab - line));
  if (type_size < 0) {
    return fail(self, "%s:%zu: found an unknown escape, wanted one of \\t \\n \\r \\\\", path,
                number);
  }
  count_entry* const entry = entry_of(self, line, (size_t)type_size);
  if (entry == NULL) return -1;
  if (entry->count != 0) return fail(self, "%s:%zu: found a type a second time", path, number);
  entry->count = count;
  return 0;
}

int counts_load(counts* self, const char* path) {
  const int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0 && errno == ENOENT) return 0;
  FILE* const file = fd < 0 ? NULL : fdopen(fd, "r");
  if (file == NULL) {
    const int error = errno;
    if (fd >= 0) close(fd);
    return fail_with_errno(self, path, "cannot open", error);
  }
  char* line = NULL;
  size_t capacity = 0;
  size_t number = 0;
  int result = 0;
  ssize_t size;
  while (result == 0 && (size = getline(&line, &capacity, file)) > 0) {
    ++number;
    if (line[size - 1] != '\n') {
      /* A rename never leaves half a line, so somebody else wrote this. */
      result = fail(self, "%s:%zu: found a line without an end, wanted a line feed", path, number);
    } else {
      line[size - 1] = '\0';
      result = load_line(self, path, number, line, (size_t)size - 1);
    }
  }
  if (result == 0 && ferror(file)) {
    result = fail_with_errno(self, path, "cannot read", errno);
  }
  free(line);
  fclose(file);
  return result;
}

static void write_entry(FILE* file, const count_entry* entry) {
  for (size_t i = 0; i < entry->type_size; ++i) {
    switch (entry->type[i]) {
      case '\t':
        fputs("\\t", file);
        break;
      case '\n':
        fputs("\\n", file);
        break;
      case '\r':
        fputs("\\r", file);
        break;
      case '\\':
        fputs("\\\\", file);
        break;
      default:
        putc(entry->type[i], file);
        break;
    }
  }
  fprintf(file, "\t%" PRIu64 "\n", entry->count + entry->pending);
}

/* Writes all entries to a new file at `path`, durably. Returns 0 or the errno. */
static int write_new(const counts* self, const char* path) {
  const int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
  if (fd < 0) return errno;
  FILE* const file = fdopen(fd, "w");
  if (file == NULL) {
    const int error = errno;
    close(fd);
    return error;
  }
  for (size_t i = 0; i < self->size; ++i) {
    if (self->entries[i].count + self->entries[i].pending != 0) {
      write_entry(file, &self->entries[i]);
    }
  }
  int error = 0;
  errno = 0;
  /* A write that failed inside stdio shows here; its errno may be gone, so EIO stands for it. */
  if (ferror(file) || fflush(file) != 0 || fsync(fd) != 0) error = errno != 0 ? errno : EIO;
  if (fclose(file) != 0 && error == 0) error = errno;
  return error;
}

/* A rename is durable once the folder is. Returns 0 or the errno. */
static int sync_folder(const char* path) {
  const char* const slash = strrchr(path, '/');
  char* const folder = slash == NULL ? strdup(".") : strdup(path);
  if (folder == NULL) return ENOMEM;
  if (slash != NULL) folder[slash == path ? 1 : slash - path] = '\0';
  const int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  int error = fd < 0 ? errno : 0;
  if (fd >= 0) {
    if (fsync(fd) != 0) error = errno;
    close(fd);
  }
  free(folder);
  return error;
}

int counts_save(counts* self, const char* path) {
  static const char kSuffix[] = ".new";
  const size_t path_size = strlen(path);
  char* const temporary = malloc(path_size + sizeof kSuffix);
  if (temporary == NULL) {
    fail(self, "out of memory for a path of %zu bytes", path_size);
    return ENOMEM;
  }
  memcpy(temporary, path, path_size);
  memcpy(temporary + path_size, kSuffix, sizeof kSuffix);

  int error = write_new(self, temporary);
  if (error == 0 && rename(temporary, path) != 0) error = errno;
  if (error != 0) unlink(temporary);
  free(temporary);
  if (error == 0) error = sync_folder(path);
  if (error != 0) {
    fail_with_errno(self, path, "cannot be replaced", error);
    return error;
  }
  for (size_t i = 0; i < self->size; ++i) {
    self->entries[i].count += self->entries[i].pending;
    self->entries[i].pending = 0;
  }
  return 0;
}
