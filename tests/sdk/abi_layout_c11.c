/* The header as strict C11, held to the golden table. Compiling is the test. */
#include "catchup/plugin.h"

#define ABI_STRUCT(type, bytes) \
  _Static_assert(sizeof(type) == (bytes), #type " has another size than was released");
#define ABI_FIELD(type, field, offset, bytes)                                       \
  _Static_assert(offsetof(type, field) == (offset), #type "." #field " has moved"); \
  _Static_assert(sizeof(((type*)0)->field) == (bytes), #type "." #field " has another size");
#include "abi_layout.inc"

/* Static data of each kind, as a plugin in C writes it. */
static const catchup_projection kProjection = {.struct_size = sizeof kProjection,
                                               .name = CATCHUP_LITERAL("layout")};
static const catchup_projection* const kProjections[] = {&kProjection};
static const catchup_plugin kPlugin = {.header = CATCHUP_HEADER,
                                       .name = CATCHUP_LITERAL("layout"),
                                       .version = CATCHUP_LITERAL("1"),
                                       .projection_count = 1,
                                       .projections = kProjections};

const catchup_plugin* abi_layout_c11_plugin(void);
const catchup_plugin* abi_layout_c11_plugin(void) { return &kPlugin; }
