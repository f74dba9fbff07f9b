#include "host/config/connection_settings.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <catchup/path_text.hpp>
#include <limits>
#include <utility>

#include "host/base/ascii.h"
#include "host/base/nearest.h"
#include "host/base/number.h"
#include "host/base/text.h"

namespace catchup {
namespace {

using Milliseconds = std::chrono::milliseconds;

// The official clients keep their times in signed 32 bits.
constexpr std::int64_t kMostMilliseconds = std::numeric_limits<std::int32_t>::max();

// More rounds than this are no bound any more.
constexpr std::int64_t kMostAttempts = 1'000'000;

// Some clients take gossipTimeout for seconds. No cluster answers in less than this everywhere, so
// a smaller number was meant for one of those.
constexpr Milliseconds kLeastGossipTimeout{100};

// Enough of a wrong text to find it by.
std::string Quote(std::string_view text) { return Quoted(text, 80); }

// An option under its name as it is documented, with its value decoded.
struct Option {
  std::string_view name;
  std::string value;
};

Status Wrong(const Option& option, std::string_view wanted) {
  return Status::Invalid(
      fmt::format("option {}={}: wanted {}", option.name, Quote(option.value), wanted));
}

Status ReadBool(const Option& option, bool* out) {
  const std::string word = LowerCase(option.value);
  if (word != "true" && word != "false") {
    return Wrong(option, "true or false");
  }
  *out = word == "true";
  return {};
}

Status ReadInteger(const Option& option, std::int64_t most, std::string_view wanted,
                   std::int64_t* out) {
  const auto number = ParseNumber<std::int64_t>(option.value);
  if (!number || *number < 1 || *number > most) {
    return Wrong(option, wanted);
  }
  *out = *number;
  return {};
}

Status ReadAttempts(const Option& option, std::uint32_t* out) {
  std::int64_t number = 0;
  CATCHUP_RETURN_IF_ERROR(ReadInteger(
      option, kMostAttempts, fmt::format("a number from 1 to {}", kMostAttempts), &number));
  *out = static_cast<std::uint32_t>(number);
  return {};
}

std::string WantedTime() {
  return fmt::format("a number of milliseconds from 1 to {}", kMostMilliseconds);
}

Status ReadTime(const Option& option, Milliseconds* out) {
  std::int64_t number = 0;
  CATCHUP_RETURN_IF_ERROR(ReadInteger(option, kMostMilliseconds, WantedTime(), &number));
  *out = Milliseconds(number);
  return {};
}

Status ReadTimeOrOff(const Option& option, std::optional<Milliseconds>* out) {
  if (option.value == "-1") {
    out->reset();
    return {};
  }
  std::int64_t number = 0;
  CATCHUP_RETURN_IF_ERROR(
      ReadInteger(option, kMostMilliseconds, WantedTime() + ", or -1 for off", &number));
  *out = Milliseconds(number);
  return {};
}

Status ReadFile(const Option& option, std::filesystem::path* out) {
  if (const std::string fault = PathFault(option.value); !fault.empty()) {
    return Wrong(option, fault);
  }
  *out = option.value;
  return {};
}

Status ReadPreference(const Option& option, NodePreference* out) {
  constexpr std::array<std::pair<std::string_view, NodePreference>, 4> kWords = {
      {{"leader", NodePreference::kLeader},
       {"follower", NodePreference::kFollower},
       {"random", NodePreference::kRandom},
       {"readonlyreplica", NodePreference::kReadOnlyReplica}}};
  const std::string word = LowerCase(option.value);
  for (const auto& [name, preference] : kWords) {
    if (word == name) {
      *out = preference;
      return {};
    }
  }
  return Wrong(option, "leader, follower, random or readOnlyReplica");
}

// It goes out as a header, which holds nothing else.
Status ReadName(const Option& option, std::string* out) {
  const std::string& name = option.value;
  const bool printable =
      std::all_of(name.begin(), name.end(), [](char c) { return c >= ' ' && c <= '~'; });
  if (name.empty() || name.size() > ConnectionSettings::kMaxName || !printable ||
      name.front() == ' ' || name.back() == ' ') {
    return Wrong(option, fmt::format("1 to {} printable ASCII characters, no space around them",
                                     ConnectionSettings::kMaxName));
  }
  *out = name;
  return {};
}

Status ReadNoEffect(const Option& option) {
  bool ignored = false;
  return ReadBool(option, &ignored);
}

struct Known {
  std::string_view name;
  Status (*read)(const Option& option, ConnectionSettings* settings);
};

using S = ConnectionSettings;
constexpr std::array<Known, 14> kKnown = {{
    {"tls", [](const Option& o, S* s) { return ReadBool(o, &s->tls); }},
    {"tlsVerifyCert", [](const Option& o, S* s) { return ReadBool(o, &s->verify_certificate); }},
    {"tlsCaFile", [](const Option& o, S* s) { return ReadFile(o, &s->ca_file); }},
    {"userCertFile", [](const Option& o, S* s) { return ReadFile(o, &s->certificate_file); }},
    {"userKeyFile", [](const Option& o, S* s) { return ReadFile(o, &s->key_file); }},
    {"nodePreference",
     [](const Option& o, S* s) { return ReadPreference(o, &s->node_preference); }},
    {"maxDiscoverAttempts",
     [](const Option& o, S* s) { return ReadAttempts(o, &s->max_discover_attempts); }},
    {"discoveryInterval",
     [](const Option& o, S* s) { return ReadTime(o, &s->discovery_interval); }},
    {"gossipTimeout", [](const Option& o, S* s) { return ReadTime(o, &s->gossip_timeout); }},
    {"keepAliveInterval",
     [](const Option& o, S* s) { return ReadTimeOrOff(o, &s->keepalive_interval); }},
    {"keepAliveTimeout",
     [](const Option& o, S* s) { return ReadTimeOrOff(o, &s->keepalive_timeout); }},
    {"defaultDeadline", [](const Option& o, S* s) { return ReadTime(o, &s->deadline); }},
    {"connectionName", [](const Option& o, S* s) { return ReadName(o, &s->connection_name); }},
    {"throwOnAppendFailure", [](const Option& o, S*) { return ReadNoEffect(o); }},
}};

// The one that a key names; null when there is none.
const Known* FindKnown(std::string_view key) {
  const std::string lower = LowerCase(key);
  const auto* found = std::find_if(kKnown.begin(), kKnown.end(), [&](const Known& known) {
    return LowerCase(known.name) == lower;
  });
  return found == kKnown.end() ? nullptr : found;
}

// Without the value, which is not known to be no secret; and a key that none can be is perhaps what
// stands behind a "?" in a password.
Status Unknown(std::string_view key) {
  const bool is_word = std::all_of(key.begin(), key.end(), [](char c) {
    return IsLetterOrDigit(c) || c == '_' || c == '-' || c == '.';
  });
  std::vector<std::string> names;
  std::string all;
  for (const Known& known : kKnown) {
    names.push_back(LowerCase(known.name));
    all += (all.empty() ? "" : ", ") + std::string(known.name);
  }
  const auto nearest = NearestName(LowerCase(key), names);
  const std::string wanted =
      nearest ? fmt::format("the nearest known option is \"{}\"", FindKnown(*nearest)->name)
              : "wanted one of " + all;
  return Status::Invalid(
      fmt::format("unknown option{}: {}", is_word ? " " + Quote(key) : std::string(), wanted));
}

// "%41" is "A"; "+" is itself.
Result<std::string> PercentDecoded(std::string_view name, std::string_view text) {
  std::string decoded;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      decoded.push_back(text[i]);
      continue;
    }
    const int high = i + 2 < text.size() ? HexValue(text[i + 1]) : -1;
    const int low = i + 2 < text.size() ? HexValue(text[i + 2]) : -1;
    if (high < 0 || low < 0) {
      return Status::Invalid(
          fmt::format("option {}={}: wanted two hexadecimal digits behind each \"%\", as \"%25\" "
                      "for one itself",
                      name, Quote(text)));
    }
    decoded.push_back(static_cast<char>(high << 4 | low));
    i += 2;
  }
  return decoded;
}

// What a shell or a template should have replaced is no value.
Status CheckWritten(const Option& option) {
  if (HasShellVariable(option.value)) {
    return Wrong(option, "a value itself, because variables are not replaced in it");
  }
  if (const std::string_view found = Placeholder(option.value); !found.empty()) {
    return Wrong(option, fmt::format("a value itself, because nothing is put in the place of {}",
                                     Quote(found)));
  }
  return {};
}

Status CheckTogether(const ConnectionSettings& settings) {
  if (settings.certificate_file.empty() != settings.key_file.empty()) {
    const bool has_key = settings.certificate_file.empty();
    return Status::Invalid(fmt::format("option {} without {}: wanted both or neither",
                                       has_key ? "userKeyFile" : "userCertFile",
                                       has_key ? "userCertFile" : "userKeyFile"));
  }
  return {};
}

void Warn(const ConnectionSettings& settings, std::vector<std::string>* warnings) {
  if (settings.tls && !settings.verify_certificate) {
    warnings->push_back(
        "tlsVerifyCert=false: nobody checks that the server is the one that is meant, and what is "
        "sent can be read and changed on the way; wanted tlsCaFile where the server's certificate "
        "is of a CA of your own");
  }
  if (!settings.tls && (!settings.ca_file.empty() || !settings.certificate_file.empty())) {
    warnings->push_back(fmt::format("{} without effect: tls=false",
                                    settings.ca_file.empty() ? "userCertFile" : "tlsCaFile"));
  }
  if (settings.gossip_timeout < kLeastGossipTimeout) {
    warnings->push_back(
        fmt::format("gossipTimeout={0} is {0} ms here, where some clients take it for seconds; "
                    "wanted {0}000 if "
                    "those are meant",
                    settings.gossip_timeout.count()));
  }
}

}  // namespace

Status ReadConnectionSettings(std::string_view query, ConnectionSettings* settings,
                              std::vector<std::string>* warnings) {
  std::array<bool, kKnown.size()> given{};
  while (!query.empty()) {
    const auto end = query.find('&');
    const std::string_view pair = query.substr(0, end);
    query = end == std::string_view::npos ? std::string_view() : query.substr(end + 1);
    const auto equals = pair.find('=');
    const std::string_view key = pair.substr(0, equals);
    const Known* const known = FindKnown(key);
    if (known == nullptr) {
      return Unknown(key);
    }
    bool& before = given[static_cast<std::size_t>(known - kKnown.data())];
    if (std::exchange(before, true)) {
      return Status::Invalid(fmt::format("option {} twice: wanted it once", known->name));
    }
    Option option{known->name, {}};
    CATCHUP_ASSIGN_OR_RETURN(
        option.value,
        PercentDecoded(option.name,
                       equals == std::string_view::npos ? "" : pair.substr(equals + 1)));
    CATCHUP_RETURN_IF_ERROR(CheckWritten(option));
    CATCHUP_RETURN_IF_ERROR(known->read(option, settings));
  }
  CATCHUP_RETURN_IF_ERROR(CheckTogether(*settings));
  Warn(*settings, warnings);
  return {};
}

}  // namespace catchup
