/* The helpers as strict C11: they compile, and do what a plugin in C wants of them. */
#include <catchup/helpers.h>

int helpers_c11_fits(void);
int32_t helpers_c11_fail(const catchup_host* host);

int helpers_c11_fits(void) {
  const catchup_view none = {NULL, 0};
  const catchup_view literal = CATCHUP_LITERAL("sold");
  const catchup_view zero = CATCHUP_LITERAL("so\0d");
  return catchup_equals(catchup_text("sold"), "sold") && catchup_equals(literal, "sold") &&
         catchup_equals(none, "") && catchup_equals(catchup_text(""), "") &&
         !catchup_equals(none, "sold") && !catchup_equals(literal, "") &&
         !catchup_equals(literal, "sol") && !catchup_equals(literal, "solder") &&
         !catchup_equals(literal, "bold") && !catchup_equals(zero, "so") &&
         catchup_text("sold").size == 4;
}

int32_t helpers_c11_fail(const catchup_host* host) {
  return catchup_fail(host, CATCHUP_RETRY, "the database is away");
}
