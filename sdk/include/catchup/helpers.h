/* What every plugin in C would otherwise write itself, on top of plugin.h. Nothing here is part of
 * the ABI: it is compiled into the plugin. For C11 and C++20; C++ has more in plugin.hpp. */
#ifndef CATCHUP_HELPERS_H_
#define CATCHUP_HELPERS_H_

#include <catchup/plugin.h>
#include <string.h>

/* A view of a string, without its final zero. The string must live as long as the view. For a
 * literal in a static initializer there is CATCHUP_LITERAL. */
static inline catchup_view catchup_text(const char* text) {
  catchup_view view;
  view.data = text;
  view.size = strlen(text);
  return view;
}

/* 1 if the bytes of `view` are those of `text`, else 0: `catchup_equals(event->type, "sold")`. */
static inline int catchup_equals(catchup_view view, const char* text) {
  const size_t size = strlen(text);
  return view.size == size && (size == 0 || memcmp(view.data, text, size) == 0);
}

/* Says why a call fails, and returns `status` for the call to return:
 * `return catchup_fail(host, CATCHUP_RETRY, "the database is away");`. Like set_error, only for
 * the instance thread, inside a call. */
static inline int32_t catchup_fail(const catchup_host* host, int32_t status, const char* text) {
  host->set_error(host, catchup_text(text));
  return status;
}

#endif /* CATCHUP_HELPERS_H_ */
