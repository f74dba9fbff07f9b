/* The plugin ABI of catchup-host, for C11 and C++20.
 *
 * A plugin is one shared object with one exported symbol, catchup_plugin_entry(). It returns a
 * static descriptor that lists the projections the file offers. The host runs each projection in a
 * process of its own and hands it the events of its group, in order.
 *
 * Life of an instance:
 *
 *     create ──► created ──start──► started ──stop──► stopped ──destroy──► gone
 *                   │                  ▲                 │
 *                   │                  └─────start───────┤
 *                   └──────────────destroy───────────────┘
 *
 * A create that fails leaves nothing to destroy. A start that fails leaves the instance created: it
 * is destroyed, not stopped. stop and destroy cannot fail.
 *
 * Threads. Every call to an instance comes from one and the same thread, the instance thread, from
 * create to destroy, never two at once. A plugin may have threads of its own between start and
 * stop; they block all signals, are joined before stop returns, and may call only functions tagged
 * [any-thread].
 *
 * Memory. A catchup_view is borrowed and dies when the call that passed it returns, unless its
 * comment says otherwise. No terminator is promised. No pointer changes owner: whoever allocates
 * frees. Strings are UTF-8; payloads are any bytes, zeros included.
 *
 * Growth. Structs with a struct_size grow, only at the end. A reader takes the smaller of the
 * writer's struct_size and its own, treats the rest as zero and a null function as absent. Structs
 * without one never change: catchup_view, catchup_position, catchup_header and
 * catchup_loaded_position. Reserved fields are zero.
 *
 * Nothing may be thrown across this boundary. */
#ifndef CATCHUP_PLUGIN_H_
#define CATCHUP_PLUGIN_H_

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* "CTUP" in memory on a little-endian machine. */
#define CATCHUP_MAGIC UINT32_C(0x50555443)

/* The version of this ABI, which is not the version of the product. A host loads a plugin of the
 * same major whose minor is at most its own. A plugin states the minor it needs, not the one it
 * was compiled against: CATCHUP_HEADER below says 1.0. */
#define CATCHUP_ABI_MAJOR 1
#define CATCHUP_ABI_MINOR 0

/* What a plugin says of a call, named for what the host does next. Any other value breaks the
 * contract and stops the group; nothing is dead-lettered. Since 1.0. */
#define CATCHUP_OK INT32_C(0)     /* applied; the host may move the checkpoint past it */
#define CATCHUP_RETRY INT32_C(1)  /* not applied, infrastructure: the host waits, tries again */
#define CATCHUP_REJECT INT32_C(2) /* can never be applied: dead letter at once, go on */
#define CATCHUP_FAILED INT32_C(3) /* not applied, cause unknown: the host judges by the text */
#define CATCHUP_FATAL INT32_C(4)  /* cannot go on: the host stops this group */

/* Bytes somebody else owns. data may be null when size is 0. Since 1.0. */
typedef struct catchup_view {
  const char* data;
  uint64_t size;
} catchup_view;

/* A view of a string literal, also in a static initializer. */
#define CATCHUP_LITERAL(text) \
  { (text), sizeof(text) - 1 }

/* A place in the log. Compare commit first, then prepare; always keep both. Since 1.0. */
typedef struct catchup_position {
  uint64_t commit;
  uint64_t prepare;
} catchup_position;

/* The 16 bytes that never change, at the start of the descriptor. A host reads these and nothing
 * else until it has accepted them: magic, then struct_size, then major, then minor. Since 1.0. */
typedef struct catchup_header {
  uint32_t magic;       /* CATCHUP_MAGIC */
  uint32_t struct_size; /* of the whole descriptor this begins */
  uint16_t abi_major;
  uint16_t abi_minor; /* the minor the plugin needs */
  uint32_t reserved;
} catchup_header;

/* Bits of catchup_event.flags. Since 1.0. */
#define CATCHUP_EVENT_JSON UINT32_C(1)   /* content type application/json */
#define CATCHUP_EVENT_SYSTEM UINT32_C(2) /* the type begins with "$" */

/* The largest event: 17 MiB of stream, type, data and metadata together. None of these has a limit
 * of its own. A larger event never reaches a plugin. Since 1.0. */
#define CATCHUP_MAX_EVENT_BYTES UINT64_C(17825792)

/* One recorded event, borrowed with everything in it until the call returns. Since 1.0. */
typedef struct catchup_event {
  uint32_t struct_size;
  uint32_t flags;
  catchup_view stream;
  catchup_view type;         /* may be empty */
  catchup_view data;         /* any bytes */
  catchup_view metadata;     /* any bytes */
  uint8_t id[16];            /* the bytes of the UUID's text form, left to right */
  uint64_t revision;         /* number in its stream, from 0; gaps are possible */
  catchup_position position; /* in the whole log */
  int64_t created_ticks;     /* 100 ns since 1970-01-01T00:00:00Z */
  uint32_t attempt;          /* 1 for the first call with this event; idempotency key with id */
  uint32_t lane;
} catchup_event;

/* Somewhere to put bytes. It belongs to whoever receives the bytes, and lives until the call that
 * it was passed to returns.
 *
 * write returns how many bytes it took: fewer than asked is a short write, after which the caller
 * may offer the rest; a negative number is a refusal, after which it offers nothing more. The bytes
 * are copied before write returns. Since 1.0. */
typedef struct catchup_sink catchup_sink;
struct catchup_sink {
  uint32_t struct_size;
  uint32_t reserved;
  void* context;
  int64_t (*write)(const catchup_sink* sink, const char* data, uint64_t size);
};

/* Levels of catchup_host.log. Since 1.0. */
#define CATCHUP_LOG_DEBUG INT32_C(0)
#define CATCHUP_LOG_INFO INT32_C(1)
#define CATCHUP_LOG_WARN INT32_C(2)
#define CATCHUP_LOG_ERROR INT32_C(3)

/* What is at a path of the configuration: the kinds of catchup_host.config_get. Since 1.0. */
#define CATCHUP_CONFIG_ABSENT INT32_C(0) /* nothing */
#define CATCHUP_CONFIG_TEXT INT32_C(1)   /* also a date or a time, as RFC 3339 has it */
#define CATCHUP_CONFIG_NUMBER INT32_C(2)
#define CATCHUP_CONFIG_BOOLEAN INT32_C(3)
#define CATCHUP_CONFIG_TABLE INT32_C(4) /* perhaps empty */
#define CATCHUP_CONFIG_LIST INT32_C(5)  /* perhaps empty */

/* Results of catchup_host.config_get. Since 1.0. */
#define CATCHUP_CONFIG_OK INT32_C(0)
#define CATCHUP_CONFIG_BAD_PATH INT32_C(-1) /* the path is no TOML dotted key */
#define CATCHUP_CONFIG_REFUSED INT32_C(-2)  /* the sink refused, or wrong thread */

/* What the host does for a plugin. The table and its views live from create to destroy of the
 * instance they were passed to. A function that a newer host added is null on an older one, or lies
 * past struct_size. Since 1.0. */
typedef struct catchup_host catchup_host;
struct catchup_host {
  uint32_t struct_size;
  uint32_t lane; /* 0 .. lanes - 1: each lane has its own instance in its own process */
  void* context; /* the host's own */

  catchup_view group;       /* the group's name in the operator's file */
  catchup_view projection;  /* the projection that was chosen */
  catchup_view config_json; /* the group's whole configuration as one JSON object, "{}" if none */

  /* The text beside a status that is not CATCHUP_OK: for people and, beside CATCHUP_FAILED only,
   * for the group's text rules. Copied at once, cleared at the start of the next call into the
   * plugin, cut at 64 KiB. The last one set in a call counts.
   * [instance-thread & inside a call] Since 1.0. */
  void (*set_error)(const catchup_host* host, catchup_view text);

  /* One line for the host's log, tagged with the group. Copied at once; cut at 16 KiB; may be
   * dropped, and counted, when a plugin logs faster than it can be written.
   * [any-thread] between start and the end of stop; [instance-thread] otherwise. Since 1.0. */
  void (*log)(const catchup_host* host, int32_t level, catchup_view text);

  /* 1 once the host wants this instance to end its current call soon, else 0. Poll it in loops.
   * [any-thread] Since 1.0. */
  int32_t (*stop_requested)(const catchup_host* host);

  /* Says what is at one path of the configuration. If it is a text, a number or a boolean, writes
   * it to `sink`: a text without quotes, a number in decimal, a boolean as true or false.
   *
   * path  a TOML dotted key: "database.host"; quoted where a key holds more than letters, digits,
   *       '-' and '_', so that `"a.b"` is one key and `a.b` are two. Members of a list by their
   *       index from 0: "servers.0.host"
   * kind  required; set to one of the kinds above, CATCHUP_CONFIG_ABSENT where there is nothing
   * sink  may be null, to ask for the kind alone
   *
   * returns  CATCHUP_CONFIG_OK        *kind says what is there
   *          CATCHUP_CONFIG_BAD_PATH  the plugin's own mistake
   *          CATCHUP_CONFIG_REFUSED   the sink took less than all; *kind is right all the same
   * [instance-thread] Since 1.0. */
  int32_t (*config_get)(const catchup_host* host, catchup_view path, int32_t* kind,
                        const catchup_sink* sink);

  /* A table of host functions by name and revision, such as "catchup.traces/1", or null. The table
   * lives as long as this one.
   * [instance-thread] Since 1.0. */
  const void* (*get_extension)(const catchup_host* host, catchup_view id);
};

/* The plugin's own state for one group and lane. The host never looks inside. */
typedef struct catchup_instance catchup_instance;

/* One projection of a file. Static: the same on every read, valid for the life of the process.
 * Since 1.0. */
typedef struct catchup_projection catchup_projection;
struct catchup_projection {
  uint32_t struct_size;
  uint32_t reserved;
  catchup_view name; /* [a-z0-9][a-z0-9-]{0,62}, unique in the file */

  /* Makes an instance and stores it in *out. Reads the configuration and refuses what it does not
   * understand; connects to nothing yet. On any status but CATCHUP_OK, *out is left alone and
   * nothing is destroyed. CATCHUP_REJECT has no meaning here. `host` lives until destroy returns.
   * [instance-thread] Since 1.0. Required. */
  int32_t (*create)(const catchup_host* host, catchup_instance** out);

  /* Frees everything the instance owns.
   * [instance-thread & created or stopped] Since 1.0. Required. */
  void (*destroy)(catchup_instance* self);

  /* Opens connections and files, starts threads. On any status but CATCHUP_OK the instance stays
   * created and is destroyed next. CATCHUP_REJECT has no meaning here.
   * [instance-thread & created or stopped] Since 1.0. Required. */
  int32_t (*start)(catchup_instance* self);

  /* Flushes and closes, joins every thread of the plugin. May be followed by start or destroy.
   * [instance-thread & started] Since 1.0. Required. */
  void (*stop)(catchup_instance* self);

  /* Applies one event.
   *
   * returns  CATCHUP_OK      applied; the host may move the checkpoint past this event
   *          CATCHUP_RETRY   not applied, infrastructure; the host waits, then passes it again
   *          CATCHUP_REJECT  can never be applied; the host writes a dead letter and goes on
   *          CATCHUP_FAILED  not applied, cause unknown; the host judges by the text of set_error
   *          CATCHUP_FATAL   cannot go on; the host stops this group
   * Events come at least once: the same event can come again after a crash, with the same id.
   * [instance-thread & started] Since 1.0. Required, except beside "catchup.position/1". */
  int32_t (*handle)(catchup_instance* self, const catchup_event* event);

  /* An optional feature by name and revision: a static table, or null for every id the plugin does
   * not know to the letter. Callable without an instance.
   * [any-thread] Since 1.0. May be null: no extensions. */
  const void* (*get_extension)(const catchup_projection* self, catchup_view id);
};

/* What catchup_plugin_entry returns. Static. Since 1.0. */
typedef struct catchup_plugin {
  catchup_header header;
  catchup_view name;         /* of the plugin, for people and logs */
  catchup_view version;      /* of the plugin, any text, not empty */
  uint64_t projection_count; /* at least 1 */
  const catchup_projection* const* projections;
} catchup_plugin;

#define CATCHUP_HEADER \
  { CATCHUP_MAGIC, (uint32_t)sizeof(catchup_plugin), CATCHUP_ABI_MAJOR, 0, 0 }

#if defined(__GNUC__)
#define CATCHUP_EXPORT __attribute__((visibility("default")))
#else
#define CATCHUP_EXPORT
#endif

/* The one symbol a plugin exports. Does no work and may be called any number of times.
 * [any-thread] Since 1.0. */
CATCHUP_EXPORT const catchup_plugin* catchup_plugin_entry(void);

/* ---- Extension "catchup.batch/1": many events in one call ---- */

#define CATCHUP_EXT_BATCH "catchup.batch/1"

/* Since 1.0. */
typedef struct catchup_batch {
  uint32_t struct_size;
  uint32_t max_events; /* the most events of one call, at least 1; the host may pass fewer */

  /* Takes the place of handle: applies `count` events of one lane, in order.
   *
   * *applied is 0 before the call; the plugin stores how many leading events it applied.
   *   CATCHUP_OK      all of them; *applied may stay 0 or be count
   *   CATCHUP_FATAL   the group stops
   *   another status  the first *applied events (fewer than count) are settled; the host passes the
   *                   rest again one by one through handle, and goes by what handle says
   * A plugin that commits all or nothing leaves *applied at 0. A count that does not fit its status
   * breaks the contract.
   * [instance-thread & started] Since 1.0. Required in this table. */
  int32_t (*handle_batch)(catchup_instance* self, const catchup_event* const* events,
                          uint64_t count, uint64_t* applied);
} catchup_batch;

/* ---- Extension "catchup.position/1": effectively once ---- */

#define CATCHUP_EXT_POSITION "catchup.position/1"

/* What load_position found. Since 1.0. */
typedef struct catchup_loaded_position {
  int32_t present; /* 1: position is what the plugin's store holds; 0: it holds none */
  uint32_t reserved;
  catchup_position position;
} catchup_loaded_position;

/* The plugin keeps the group's position in the transaction that holds its effects, so that neither
 * can be there without the other. The host allows one lane. Since 1.0. */
typedef struct catchup_position_keeper {
  uint32_t struct_size;
  uint32_t max_events; /* the most events of one handle_at, at least 1 */

  /* In one committed transaction: writes `token` into the position's row, making it if need be, and
   * reads the row into *out. The position found wins over the host's own. If the row holds a
   * higher token, changes nothing and returns CATCHUP_FATAL with both numbers in the text ("fenced:
   * token 57 seen, ours 1"). Called once after every start, before the first event.
   * [instance-thread & started] Since 1.0. Required in this table. */
  int32_t (*load_position)(catchup_instance* self, uint64_t token, catchup_loaded_position* out);

  /* Applies `count` events and stores *position, in one transaction, or nothing at all.
   *
   * The update of the row is guarded by "stored token <= token and stored position = *previous"
   * (previous is null while no position was ever stored). When it changes no row, read the row: a
   * higher token is CATCHUP_FATAL; a stored position that is *position already, or beyond it, while
   * *previous differs from *position means that an earlier try, perhaps of more events, was
   * committed and its reply lost, so drop the effects and return CATCHUP_OK; anything else is
   * CATCHUP_FATAL.
   * count may be 0: only the position moves. A failed call of several events comes again one by
   * one. The status is that of handle.
   * [instance-thread & started] Since 1.0. Required in this table. */
  int32_t (*handle_at)(catchup_instance* self, const catchup_event* const* events, uint64_t count,
                       const catchup_position* previous, const catchup_position* position,
                       uint64_t token);

  /* Stores *position whatever was there, guarded by the token only; null removes the position. For
   * an operator's reset.
   * [instance-thread & started] Since 1.0. Required in this table. */
  int32_t (*set_position)(catchup_instance* self, const catchup_position* position, uint64_t token);
} catchup_position_keeper;

#ifdef __cplusplus
} /* extern "C" */
#endif

#endif /* CATCHUP_PLUGIN_H_ */
