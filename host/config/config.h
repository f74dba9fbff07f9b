#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "host/base/event_filter.h"
#include "host/base/host_port.h"
#include "host/base/log_level.h"
#include "host/base/plugin_setting.h"
#include "host/base/position.h"
#include "host/config/source_uri.h"

namespace catchup {

// What an operator's TOML file says, checked and with every default filled in. Plain values: copy
// them, move them, read them from any thread. host/config/reader.h makes them.
//
// Paths are absolute, except inside a plugin's own `config`, which is not ours to read.

// A place in the file, counted from 1; 0:0 says none.
struct SourceLocation {
  std::uint32_t line = 0;
  std::uint32_t column = 0;
};

// Where a group without a checkpoint begins.
struct GroupStart {
  enum class Kind : std::uint8_t { kBeginning, kEnd, kPosition };

  Kind kind = Kind::kBeginning;
  Position position;  // kPosition: the first event is the one after it.
};

// A place besides their store at which it is told what becomes of letters.
struct LetterSinkConfig {
  enum class Kind : std::uint8_t {
    kLines,   // "jsonl:FILE": a line of JSON for each step of a letter.
    kStream,  // "stream:NAME": an event for each.
  };

  Kind kind = Kind::kLines;
  std::string name;    // As written: by this it is known to the store, which keeps its place.
  std::string target;  // The file, absolute, or the stream.
  SourceLocation location;
};

struct DeadLettersConfig {
  enum class Order : std::uint8_t { kStream, kEvent, kHalt };

  Order order = Order::kStream;
  std::uint32_t max_letters = 100'000;
  std::uint64_t max_bytes = 4ull << 30;
  std::chrono::milliseconds heal_for = std::chrono::hours(168);
  std::vector<LetterSinkConfig> sinks;
};

struct BreakerConfig {
  std::uint32_t failures = 5;
  std::chrono::milliseconds open{5'000};
  std::chrono::milliseconds max_open{60'000};
  std::uint32_t budget = 10;
};

// Rules of TextRules, known to be good; absent means the built-in ones.
struct ClassifyConfig {
  std::optional<std::vector<std::string>> domain;
  std::optional<std::vector<std::string>> infrastructure;
};

struct LimitsConfig {
  std::uint64_t memory_bytes = 512ull << 20;
  std::uint32_t open_files = 256;
};

// A plugin's own settings: the whole as JSON text, and each value in it by its path. Members of a
// list are named by their index from 0, as in "servers.0.host".
struct PluginSettings {
  std::string json = "{}";
  std::vector<PluginSetting> values;  // In the order of the JSON, without the whole.
};

// Each lane is a process of its own, so this keeps a slip of the hand from being obeyed.
inline constexpr std::uint32_t kMaxLanes = 64;

// The longest name of a group. A checkpoint has room for one.
inline constexpr std::size_t kMaxGroupName = 63;

struct GroupConfig {
  std::string name;
  SourceLocation location;  // The group's table header.

  std::string plugin;              // A bare file name, looked up in plugins.directories.
  SourceLocation plugin_location;  // The value of `plugin`, perhaps in [defaults].
  std::string projection;          // Empty when the file does not say.
  EventFilter filter;
  GroupStart start;
  bool stop_on_caught_up = false;
  std::uint32_t batch_size = 100;
  std::uint32_t checkpoint_batch_size = 10;
  std::chrono::milliseconds checkpoint_interval{1'000};
  std::uint32_t max_retries = 3;
  std::chrono::milliseconds retry_delay{1'000};
  std::chrono::milliseconds retry_max_delay{30'000};
  std::uint32_t lanes = 1;
  std::chrono::milliseconds handler_timeout{30'000};
  std::chrono::milliseconds start_timeout{30'000};  // Load, create, start, load_position together.
  std::chrono::milliseconds drain_timeout{5'000};
  std::uint32_t max_crashes = 3;
  std::string sha256;  // 64 lower-case hexadecimal digits, or empty for no pin.
  std::uint64_t window_events = 4096;
  std::uint64_t window_bytes = 32ull << 20;
  DeadLettersConfig dead_letters;
  BreakerConfig breaker;
  ClassifyConfig classify;
  LimitsConfig limits;
  std::vector<std::string> env;  // Names only; the values are read from our own environment.
  std::vector<SourceLocation> env_locations;  // The place of each.
  PluginSettings settings;
};

// The file that holds user and password for a server; see host/config/credentials.h.
struct CredentialsFile {
  std::filesystem::path path;  // Empty: none is named.
  std::string origin;          // As messages call it.
};

struct SourceConfig {
  SourceUri uri;            // Its paths are absolute here.
  std::string uri_text;     // As written, for messages; holds no secret. Empty if it was wrong.
  SourceLocation location;  // The value of `uri`.
  CredentialsFile credentials_file;  // Its path is absolute here.
  SourceLocation credentials_location;
  ListenAddress embedded_listen{"127.0.0.1", 0};
  SourceLocation listen_location;  // Its value, or that of `uri`.
};

struct StateConfig {
  std::filesystem::path directory;
  SourceLocation location;  // The value of `directory`.
};

struct PluginsConfig {
  std::vector<std::filesystem::path> directories;
  std::vector<SourceLocation> locations;  // The place of each.
};

struct AdminConfig {
  ListenAddress listen{"127.0.0.1", 9113};
};

struct LogConfig {
  LogLevel level = LogLevel::kInfo;
  LogFormat format = LogFormat::kAuto;
};

struct HostConfig {
  std::filesystem::path file;  // Absolute; relative paths in it count from its folder.
  SourceConfig source;
  StateConfig state;
  PluginsConfig plugins;
  AdminConfig admin;
  LogConfig log;
  std::vector<GroupConfig> groups;  // In the order of the file; at least one.
};

}  // namespace catchup
