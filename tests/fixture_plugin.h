/* What the plugins that tests load have in common. Plain C: a fixture may do what the C++ layer
 * would prevent. */
#pragma once

#include <catchup/plugin.h>
#include <stddef.h>
#include <string.h>

static inline int Is(catchup_view view, const char* text) {
  return view.size == strlen(text) && memcmp(view.data, text, view.size) == 0;
}

static inline const void* NoExtension(const catchup_projection* self, catchup_view id) {
  (void)self;
  (void)id;
  return NULL;
}

/* The door of the plugin `plugin` 1.0.0, whose only projection is made of this file's Create,
 * Destroy, Start, Stop and Handle, without extensions. Both names are string literals. */
#define FIXTURE_PLUGIN(plugin, projection)                                                      \
  static const catchup_projection kProjection = {                                               \
      sizeof kProjection, 0, CATCHUP_LITERAL(projection), Create, Destroy, Start, Stop, Handle, \
      NoExtension};                                                                             \
  static const catchup_projection* const kProjections[] = {&kProjection};                       \
  static const catchup_plugin kPlugin = {CATCHUP_HEADER, CATCHUP_LITERAL(plugin),               \
                                         CATCHUP_LITERAL("1.0.0"), 1, kProjections};            \
  const catchup_plugin* catchup_plugin_entry(void) { return &kPlugin; }
