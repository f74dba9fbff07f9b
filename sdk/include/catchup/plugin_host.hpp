// What the host does for a C++ projection: log, stop requests, configuration. Part of
// catchup/plugin.hpp.
#ifndef CATCHUP_PLUGIN_HOST_HPP_
#define CATCHUP_PLUGIN_HOST_HPP_

#include <algorithm>
#include <charconv>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <type_traits>
#include <utility>

#include "catchup/json_text.hpp"
#include "catchup/path_text.hpp"
#include "catchup/plugin.h"
#include "catchup/plugin_types.hpp"

namespace catchup {

// The host's table for one instance. Copying it copies a pointer; it lives from the instance's
// constructor to its destructor. A function that an older host lacks is never called: logging is
// then dropped, a stop is never requested, and reading the configuration throws Fatal.
class Host {
 public:
  explicit Host(const catchup_host* raw) : raw_(raw) {}

  std::uint32_t lane() const { return raw_->lane; }
  std::string_view group() const { return ToText(raw_->group); }
  std::string_view projection() const { return ToText(raw_->projection); }

  // The group's whole configuration as one JSON object.
  std::string_view config_json() const { return ToText(raw_->config_json); }

  // One line of the host's log. From any thread between Start and the end of Stop.
  void Debug(std::string_view text) const { Log(CATCHUP_LOG_DEBUG, text); }
  void Info(std::string_view text) const { Log(CATCHUP_LOG_INFO, text); }
  void Warn(std::string_view text) const { Log(CATCHUP_LOG_WARN, text); }
  void Error(std::string_view text) const { Log(CATCHUP_LOG_ERROR, text); }
  void Log(std::int32_t level, std::string_view text) const {
    if (Has(offsetof(catchup_host, log), raw_->log)) raw_->log(raw_, level, ToView(text));
  }

  // Whether the host wants the current call to end soon. Poll it in loops, from any thread.
  bool stop_requested() const {
    return Has(offsetof(catchup_host, stop_requested), raw_->stop_requested) &&
           raw_->stop_requested(raw_) != 0;
  }

  // The text beside a status. The exceptions of plugin_types.hpp end here; a projection throws.
  void SetError(std::string_view text) const {
    if (Has(offsetof(catchup_host, set_error), raw_->set_error)) {
      raw_->set_error(raw_, ToView(text));
    }
  }

  // A table of host functions by name and revision, or null.
  const void* GetExtension(std::string_view id) const {
    return Has(offsetof(catchup_host, get_extension), raw_->get_extension)
               ? raw_->get_extension(raw_, ToView(id))
               : nullptr;
  }

  // ---- Configuration: on the instance's thread, best in the constructor, so that a fault is found
  // before the first event. All throw Fatal, naming the key, what was found and what was wanted, as
  // no waiting heals a configuration. ----

  // A path is a TOML dotted key: "database.host", or "\"a.b\".c" where a key has a dot in it; a
  // list's members go by index, "servers.0".

  // What is at a path, one of CATCHUP_CONFIG_TEXT and the others, and the text if it is a scalar.
  struct Setting {
    std::int32_t kind = CATCHUP_CONFIG_ABSENT;
    std::string text;
  };
  Setting Look(std::string_view path) const;

  // The value of a text, number or boolean as text; none if absent.
  std::optional<std::string> config(std::string_view path) const;

  // The value by its path as std::string, bool, double or any integer type, whose range is checked.
  // The kind must be the one that is wanted: `port = "80"` is no number, `file = 3` no text.
  template <typename Value>
  std::optional<Value> Find(std::string_view path) const;

  // The same, with a value for "absent".
  template <typename Value>
  Value Get(std::string_view path, Value if_absent) const {
    std::optional<Value> found = Find<Value>(path);
    return found ? *std::move(found) : std::move(if_absent);
  }

  // The same, for what the operator must give. An empty string counts as absent.
  template <typename Value>
  Value Require(std::string_view path) const;

  // The same for the path of a file or folder: text that names none, as "~/x" or "{{dir}}/x", is
  // refused with what was meant (catchup/path_text.hpp). Does not look at the disk.
  std::string RequirePath(std::string_view path) const;

  // Throws if the configuration has a top-level key that is not in `known`: a key that nobody reads
  // is most often a misspelt one.
  void RequireOnly(std::initializer_list<std::string_view> known) const;

  const catchup_host* raw() const { return raw_; }

 private:
  // `function` lies at `offset` of the host's table, is inside what this host filled in, and is
  // not null.
  template <typename Function>
  bool Has(std::size_t offset, const Function& function) const {
    return raw_->struct_size >= offset + sizeof function && function != nullptr;
  }

  // Throws Fatal: config "a.b": found X, wanted Y.
  [[noreturn]] static void Refuse(std::string_view path, std::string_view found,
                                  std::string_view wanted) {
    std::string text = "config \"";
    text.append(path).append("\": found ").append(found).append(", wanted ").append(wanted);
    throw Fatal(text);
  }

  // "the number 3", "a list".
  static std::string Describe(const Setting& setting) {
    constexpr std::size_t kShown = 100;  // Enough to recognise the value by.
    const std::string shown = setting.text.substr(0, kShown);
    switch (setting.kind) {
      case CATCHUP_CONFIG_ABSENT:
        return "nothing";
      case CATCHUP_CONFIG_TEXT:
        return "the text \"" + shown + "\"";
      case CATCHUP_CONFIG_NUMBER:
        return "the number " + shown;
      case CATCHUP_CONFIG_BOOLEAN:
        return "the boolean " + shown;
      case CATCHUP_CONFIG_TABLE:
        return "a table";
      case CATCHUP_CONFIG_LIST:
        return "a list";
      default:
        return "a value of unknown kind " + std::to_string(setting.kind);
    }
  }

  template <typename Value>
  static std::string Wanted();

  template <typename Value>
  static constexpr std::int32_t WantedKind();

  const catchup_host* raw_;
};

namespace plugin_internal {

// Longer values are no configuration: a bound for what one key can make a plugin allocate.
inline constexpr std::size_t kMaxConfigValue = std::size_t{1} << 20;

// Takes bytes into a std::string; refuses past kMaxConfigValue. Never throws.
inline std::int64_t WriteToString(const catchup_sink* sink, const char* data,
                                  std::uint64_t size) noexcept {
  try {
    auto* const text = static_cast<std::string*>(sink->context);
    if (size > kMaxConfigValue - std::min(text->size(), kMaxConfigValue)) return -1;
    text->append(data, static_cast<std::size_t>(size));
    return static_cast<std::int64_t>(size);
  } catch (...) {
    return -1;
  }
}

template <typename Value>
bool ParseConfig(const std::string& text, Value* out) {
  if constexpr (std::is_same_v<Value, bool>) {
    *out = text == "true";
    return *out || text == "false";
  } else {
    const char* const end = text.data() + text.size();
    const auto [stop, fault] = std::from_chars(text.data(), end, *out);
    return fault == std::errc() && stop == end;
  }
}

}  // namespace plugin_internal

inline Host::Setting Host::Look(std::string_view path) const {
  if (!Has(offsetof(catchup_host, config_get), raw_->config_get)) {
    throw Fatal("this host has no config_get, which the plugin reads its configuration with");
  }
  Setting setting;
  const catchup_sink sink = {sizeof(catchup_sink), 0, &setting.text,
                             &plugin_internal::WriteToString};
  switch (raw_->config_get(raw_, ToView(path), &setting.kind, &sink)) {
    case CATCHUP_CONFIG_OK:
      return setting;
    case CATCHUP_CONFIG_BAD_PATH:
      throw Fatal("config: found the path '" + std::string(path) +
                  "' in the plugin's code, wanted a TOML dotted key, such as a.b or \"a.b\".c");
    default:
      Refuse(path, "what the host would not hand over",
             "at most " + std::to_string(plugin_internal::kMaxConfigValue) + " bytes");
  }
}

inline std::optional<std::string> Host::config(std::string_view path) const {
  Setting setting = Look(path);
  switch (setting.kind) {
    case CATCHUP_CONFIG_ABSENT:
      return std::nullopt;
    case CATCHUP_CONFIG_TEXT:
    case CATCHUP_CONFIG_NUMBER:
    case CATCHUP_CONFIG_BOOLEAN:
      return std::move(setting.text);
    default:
      Refuse(path, Describe(setting), "a text, a number or a boolean");
  }
}

template <typename Value>
std::string Host::Wanted() {
  if constexpr (std::is_same_v<Value, std::string>) {
    return "text";
  } else if constexpr (std::is_same_v<Value, bool>) {
    return "true or false";
  } else if constexpr (std::is_integral_v<Value>) {
    return "a whole number from " + std::to_string(std::numeric_limits<Value>::min()) + " to " +
           std::to_string(std::numeric_limits<Value>::max());
  } else {
    return "a number";
  }
}

template <typename Value>
constexpr std::int32_t Host::WantedKind() {
  if constexpr (std::is_same_v<Value, std::string>) {
    return CATCHUP_CONFIG_TEXT;
  } else if constexpr (std::is_same_v<Value, bool>) {
    return CATCHUP_CONFIG_BOOLEAN;
  } else {
    return CATCHUP_CONFIG_NUMBER;
  }
}

template <typename Value>
std::optional<Value> Host::Find(std::string_view path) const {
  static_assert(std::is_same_v<Value, std::string> || std::is_same_v<Value, bool> ||
                    std::is_same_v<Value, double> || std::is_integral_v<Value>,
                "a configuration value is std::string, bool, double or an integer");
  Setting setting = Look(path);
  if (setting.kind == CATCHUP_CONFIG_ABSENT) return std::nullopt;
  if (setting.kind != WantedKind<Value>()) Refuse(path, Describe(setting), Wanted<Value>());
  if constexpr (std::is_same_v<Value, std::string>) {
    return std::move(setting.text);
  } else {
    Value value{};
    if (!plugin_internal::ParseConfig(setting.text, &value)) {
      Refuse(path, Describe(setting), Wanted<Value>());
    }
    return value;
  }
}

template <typename Value>
Value Host::Require(std::string_view path) const {
  std::optional<Value> found = Find<Value>(path);
  if (!found) Refuse(path, "nothing", Wanted<Value>());
  if constexpr (std::is_same_v<Value, std::string>) {
    if (found->empty()) Refuse(path, "an empty text", "text");
  }
  return *std::move(found);
}

inline std::string Host::RequirePath(std::string_view path) const {
  std::string found = Require<std::string>(path);
  const std::string fault = PathFault(found);
  if (!fault.empty()) {
    Refuse(path, Describe({.kind = CATCHUP_CONFIG_TEXT, .text = std::move(found)}), fault);
  }
  return found;
}

inline void Host::RequireOnly(std::initializer_list<std::string_view> known) const {
  std::string fault;
  const bool good = VisitJsonMembers(
      config_json(),
      [&](const std::string& name, std::string_view) {
        if (std::find(known.begin(), known.end(), name) != known.end()) return;
        std::string list;
        for (const std::string_view key : known) list.append(list.empty() ? "" : ", ").append(key);
        Refuse(name, "a key this plugin does not know", list.empty() ? "no key" : "one of " + list);
      },
      &fault);
  if (!good) throw Fatal("the configuration is not a JSON object: " + fault);
}

}  // namespace catchup

#endif  // CATCHUP_PLUGIN_HOST_HPP_
