/* How many events of each type there were, in memory and in a file.
 *
 * The file has one line `type<TAB>count` for each type, sorted by the bytes of the type. In a type,
 * tab, line feed, carriage return and backslash stand as \t \n \r \\.
 *
 * Counting happens in two steps, because a file can fail to be written: counts_add notes events as
 * pending; counts_save writes a file that includes them and, when that is durable, makes them
 * count; counts_forget_pending drops them.
 *
 * One thread at a time. Owns all its memory. */
#ifndef EVENT_COUNTER_COUNTS_H_
#define EVENT_COUNTER_COUNTS_H_

#include <stddef.h>
#include <stdint.h>

/* Types come from whoever writes events. Past this many a projection by type is a mistake, and its
 * memory and file must have an end. */
#define COUNTS_MAX_TYPES 65536u

/* Long enough for any message of this file, which names a path or a line. */
#define COUNTS_ERROR_SIZE 4608u

typedef struct count_entry count_entry;

typedef struct counts {
  count_entry* entries; /* sorted by type */
  size_t size;
  size_t capacity;
  char error[COUNTS_ERROR_SIZE]; /* why the last call that failed did */
} counts;

void counts_init(counts* self);
void counts_free(counts* self);

/* Reads the file into an empty `self`. No file is no counts. Returns 0, or -1 with `error` set: the
 * file cannot be read, or is not of this form. */
int counts_load(counts* self, const char* path);

/* Notes one event as pending. Returns 0, or -1 with `error` set: no memory, or too many types. */
int counts_add(counts* self, const char* type, size_t type_size);

void counts_forget_pending(counts* self);

/* Replaces the file at `path` by one that includes what is pending: written beside it as
 * `path`.new, synced, renamed, and the folder synced, so that a crash at any moment leaves the old
 * file or the new one. Returns 0, or the errno with `error` set; then what is pending still is. */
int counts_save(counts* self, const char* path);

#endif /* EVENT_COUNTER_COUNTS_H_ */
