#include "host/config/reader.h"

#include <fmt/core.h>

#include <algorithm>
#include <catchup/path_text.hpp>

#include "host/base/text.h"
#include "host/config/credentials.h"
#include "host/config/group_reader.h"
#include "host/config/small_file.h"
#include "host/config/table_reader.h"
#include "host/config/toml_tree.h"

namespace catchup {
namespace {

constexpr std::string_view kWantedUri = "\"kurrentdb://HOST:PORT\" or \"embedded:PATH\"";
constexpr std::string_view kWantedDirectory = "the path of a directory";
constexpr std::string_view kWantedDirectories =
    "a list of directories, as [\"/usr/lib/catchup/plugins\"]";
constexpr std::string_view kWantedAddress = "\"HOST:PORT\"";
constexpr std::string_view kDefaultAdmin = "127.0.0.1:9113";

// More groups than one host can give a process each.
constexpr std::size_t kMaxGroups = 1024;

constexpr SmallFile kConfigFile{.max_bytes = kMaxConfigBytes,
                                .forbidden = 0,
                                .rights = {},
                                .content = "a configuration in TOML"};

bool IsAt(SourceLocation a, SourceLocation b) { return a.line == b.line && a.column == b.column; }

// Whether one of the places is that of the value or of anything in it.
bool HasPlace(const TomlValue& value, const std::vector<SourceLocation>& places) {
  const auto has = [&](SourceLocation location) {
    return std::any_of(places.begin(), places.end(),
                       [&](SourceLocation place) { return IsAt(place, location); });
  };
  if (has(value.location)) {
    return true;
  }
  if (const auto* list = value.As<TomlValue::List>()) {
    return std::any_of(list->begin(), list->end(),
                       [&](const TomlValue& one) { return HasPlace(one, places); });
  }
  const auto* table = value.As<TomlValue::Table>();
  return table != nullptr && std::any_of(table->begin(), table->end(), [&](const TomlMember& one) {
           return has(one.location) || HasPlace(one.value, places);
         });
}

// Reads the sections of one document, in the order of the design's table.
class DocumentReader {
 public:
  DocumentReader(const TomlValue& root, std::filesystem::path folder, HostConfig* config,
                 std::vector<GroupReading>* groups, ConfigProblems* problems)
      : root_(root, "", problems),
        folder_(std::move(folder)),
        config_(*config),
        groups_(*groups),
        problems_(problems) {}

  void Read() {
    ReadSource();
    ReadState();
    ReadPlugins();
    ReadAdmin();
    ReadLog();
    ReadGroups();
    root_.Finish();
  }

 private:
  std::filesystem::path Resolve(const std::filesystem::path& path) const {
    return (folder_ / path).lexically_normal();
  }

  // Whether `path` may be taken as one.
  bool CheckPath(TableReader* reader, std::string_view key, const TomlValue& value,
                 const std::string& path) {
    const std::string fault = PathFault(path);
    if (fault.empty()) {
      return true;
    }
    reader->Wrong(key, value, path.empty() ? kWantedDirectory : std::string_view(fault));
    return false;
  }

  // A section that must exist; its absence is reported as the absence of its first required key.
  const TomlValue* Required(std::string_view name, std::string_view key, std::string_view wanted) {
    const bool absent = root_.table().Find(name) == nullptr;
    const TomlValue* table = root_.Table(name);
    if (absent) {
      root_.Missing(fmt::format("{}.{}", name, key), wanted);
    }
    return table;
  }

  void ReadSource() {
    const TomlValue* table = Required("source", "uri", kWantedUri);
    if (table == nullptr) {
      return;
    }
    TableReader reader(*table, "source.", problems_);
    if (const TomlMember* member = reader.Take("uri")) {
      ReadUri(&reader, member->value);
    } else {
      reader.Missing("uri", kWantedUri);
    }
    if (const TomlMember* member = reader.Take("credentials_file")) {
      ReadCredentialsFile(member->value);
    }
    std::string text;
    if (reader.Text("embedded_listen", kWantedAddress, &text)) {
      auto address = ParseListenAddress(text);
      if (address.ok()) {
        config_.source.embedded_listen = *std::move(address);
        config_.source.listen_location = table->Find("embedded_listen")->value.location;
      } else {
        problems_->Add(table->Find("embedded_listen")->value.location,
                       "source.embedded_listen: " + address.status().message());
      }
    }
    reader.Finish();
  }

  // The value is named by its key only: it may hold a password.
  void ReadUri(TableReader* reader, const TomlValue& value) {
    const std::string* text = value.As<std::string>();
    if (text == nullptr) {
      reader->Wrong("uri", value, kWantedUri);
      return;
    }
    auto uri = ParseSourceUri(*text);
    if (!uri.ok()) {
      problems_->Add(value.location, "source.uri: " + uri.status().message());
      return;
    }
    config_.source.uri = *std::move(uri);
    config_.source.uri_text = *text;
    config_.source.location = value.location;
    config_.source.listen_location = value.location;
    ConnectionSettings& settings = config_.source.uri.settings;
    for (std::filesystem::path* path : {&config_.source.uri.path, &settings.ca_file,
                                        &settings.certificate_file, &settings.key_file}) {
      if (!path->empty()) {
        *path = Resolve(*path);
      }
    }
  }

  // Without the value of another type, too: see NameCredentialsFile.
  void ReadCredentialsFile(const TomlValue& value) {
    const std::string* text = value.As<std::string>();
    auto named = NameCredentialsFile("source.credentials_file", text == nullptr ? "" : *text);
    if (!named.ok()) {
      problems_->Add(value.location, named.status().message());
      return;
    }
    config_.source.credentials_file = *std::move(named);
    config_.source.credentials_file.path = Resolve(config_.source.credentials_file.path);
    config_.source.credentials_location = value.location;
  }

  // Without the value: where a file is asked for, the secret itself may have been written.
  void NoSecretFile(TableReader* reader, std::string_view prefix, std::string_view key,
                    std::string_view supported) {
    if (const TomlMember* member = reader->Take(key)) {
      problems_->Add(member->value.location,
                     fmt::format("{}{}: this version supports {}", prefix, key, supported));
    }
  }

  void ReadState() {
    const TomlValue* table = Required("state", "directory", kWantedDirectory);
    if (table == nullptr) {
      return;
    }
    TableReader reader(*table, "state.", problems_);
    std::string text;
    if (table->Find("directory") == nullptr) {
      reader.Missing("directory", kWantedDirectory);
    }
    if (reader.Text("directory", kWantedDirectory, &text) &&
        CheckPath(&reader, "directory", table->Find("directory")->value, text)) {
      config_.state.directory = Resolve(text);
      config_.state.location = table->Find("directory")->value.location;
    }
    reader.Finish();
  }

  void ReadPlugins() {
    const TomlValue* table = Required("plugins", "directories", kWantedDirectories);
    if (table == nullptr) {
      return;
    }
    TableReader reader(*table, "plugins.", problems_);
    std::vector<std::string> texts;
    const TomlMember* member = table->Find("directories");
    if (member == nullptr) {
      reader.Missing("directories", kWantedDirectories);
    }
    if (reader.TextList("directories", kWantedDirectories, &texts)) {
      if (texts.empty()) {
        reader.Wrong("directories", member->value, kWantedDirectories);
      }
      const auto& list = *member->value.As<TomlValue::List>();
      for (std::size_t i = 0; i < texts.size(); ++i) {
        if (CheckPath(&reader, fmt::format("directories[{}]", i), list[i], texts[i])) {
          config_.plugins.directories.push_back(Resolve(texts[i]));
          config_.plugins.locations.push_back(list[i].location);
        }
      }
    }
    reader.Finish();
  }

  void ReadAdmin() {
    const TomlValue* table = root_.Table("admin");
    if (table == nullptr) {
      return;
    }
    TableReader reader(*table, "admin.", problems_);
    std::string text;
    const TomlMember* listen = table->Find("listen");
    if (listen != nullptr && listen->value.As<std::string>() != nullptr &&
        listen->value.As<std::string>()->empty()) {
      (void)reader.Take("listen");
      reader.Unsupported("listen", fmt::format("\"{}\"", kDefaultAdmin));
    } else if (reader.Text("listen", kWantedAddress, &text)) {
      const auto address = ParseListenAddress(text);
      if (!address.ok()) {
        problems_->Add(table->Find("listen")->value.location,
                       "admin.listen: " + address.status().message());
      } else if (text != kDefaultAdmin) {
        reader.Unsupported("listen", fmt::format("\"{}\"", kDefaultAdmin));
      }
    }
    NoSecretFile(&reader, "admin.", "token_file", "no token");
    reader.Finish();
  }

  void ReadLog() {
    const TomlValue* table = root_.Table("log");
    if (table == nullptr) {
      return;
    }
    TableReader reader(*table, "log.", problems_);
    std::size_t index = 0;
    if (reader.Choice("level", {kLogLevelNames.begin(), kLogLevelNames.end()}, &index)) {
      config_.log.level = static_cast<LogLevel>(index);
    }
    if (reader.Choice("format", {"auto", "json", "text"}, &index)) {
      config_.log.format = static_cast<LogFormat>(index);
    }
    reader.Finish();
  }

  void ReadGroups() {
    const TomlValue* defaults = root_.Table("defaults");
    if (defaults != nullptr) {
      CheckDefaults(*defaults, problems_);
    }
    const bool absent = root_.table().Find("groups") == nullptr;
    const TomlValue* groups = root_.Table("groups");
    if (groups == nullptr) {
      if (absent) {
        root_.Missing("groups", "at least one table [groups.NAME]");
      }
      return;
    }
    const auto& members = *groups->As<TomlValue::Table>();
    if (members.empty() || members.size() > kMaxGroups) {
      problems_->Add(groups->location,
                     fmt::format("{} groups: wanted 1 to {}", members.size(), kMaxGroups));
      return;
    }
    for (const TomlMember& member : members) {
      TomlValue name;
      name.value = member.key;
      if (!IsGroupName(member.key)) {
        problems_->Add(
            member.location,
            fmt::format(
                "group name {}: wanted 1 to {} of a-z, 0-9 and \"-\", not beginning with \"-\"",
                DescribeToml(name), kMaxGroupName));
      }
      if (member.value.As<TomlValue::Table>() == nullptr) {
        problems_->Add(member.value.location,
                       fmt::format("group {} = {}: wanted a table [groups.NAME]",
                                   DescribeToml(name), DescribeToml(member.value)));
        continue;
      }
      ConfigProblems own;
      const TomlValue merged =
          defaults == nullptr ? member.value : MergeDefaults(*defaults, member.value);
      config_.groups.push_back(ReadGroup(member.key, merged, &own));
      for (LetterSinkConfig& sink : config_.groups.back().dead_letters.sinks) {
        if (sink.kind == LetterSinkConfig::Kind::kLines) {
          sink.target = Resolve(sink.target);
        }
      }
      if (!config_.groups.back().plugin.empty()) {
        groups_.push_back(Describe(merged, own));
      }
      problems_->Add(own);
    }
  }

  // What was read of the last group.
  GroupReading Describe(const TomlValue& table, const ConfigProblems& own) const {
    const std::vector<SourceLocation> places = own.Places();
    const auto is_right = [&](std::string_view key) {
      const TomlMember* member = table.Find(key);
      return member == nullptr || !HasPlace(member->value, places);
    };
    GroupReading reading;
    reading.config = config_.groups.back();
    reading.projection_read = is_right("projection");
    // They are required: without them there is nothing to compare.
    reading.filter_read = is_right("prefixes") && is_right("match") && is_right("system_events") &&
                          is_right("resolve_links") && !reading.config.filter.prefixes.empty();
    reading.settings_read = is_right("config");
    const TomlMember* settings = table.Find("config");
    reading.settings_location =
        settings == nullptr ? reading.config.location : settings->value.location;
    return reading;
  }

  TableReader root_;
  const std::filesystem::path folder_;
  HostConfig& config_;
  std::vector<GroupReading>& groups_;
  ConfigProblems* const problems_;
};

// A problem of the file as a whole, without a place.
ConfigReading OneProblem(std::string text) {
  ConfigReading reading;
  reading.problems = {std::move(text)};
  reading.places = {SourceLocation{}};
  return reading;
}

}  // namespace

ConfigReading ReadConfigFile(const std::filesystem::path& file) {
  auto text = ReadSmallFile(file, kConfigFile);
  if (!text.ok()) {
    return OneProblem(text.status().Within(WithoutUserInfo(file.string())).message());
  }
  return ReadConfigText(*text, file);
}

ConfigReading ReadConfigText(std::string_view text, const std::filesystem::path& file) {
  ConfigProblems problems;
  HostConfig config;
  ConfigReading reading;
  std::error_code error;
  config.file = std::filesystem::absolute(file, error).lexically_normal();
  if (error) {
    return OneProblem(Status::FromErrno("cannot find the working directory", error.value())
                          .Within(file.string())
                          .message());
  }
  if (text.size() > kMaxConfigBytes) {
    return OneProblem(fmt::format("{}: more than {} KiB: wanted {}", file.string(),
                                  kMaxConfigBytes >> 10, kConfigFile.content));
  }
  const auto parsed = ParseToml(text);
  if (const auto* fault = std::get_if<TomlError>(&parsed)) {
    problems.Add(fault->location, fault->text);
  } else {
    DocumentReader(std::get<TomlValue>(parsed), config.file.parent_path(), &config, &reading.groups,
                   &problems)
        .Read();
  }
  reading.problems = problems.Format(file.string());
  reading.places = problems.Places();
  if (problems.empty()) {
    reading.config = config;
  }
  reading.found = std::move(config);
  reading.found.groups.clear();
  return reading;
}

}  // namespace catchup
