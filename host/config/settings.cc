#include "host/config/settings.h"

#include <fmt/core.h>

#include <charconv>
#include <cmath>
#include <variant>

#include "host/base/text.h"
#include "host/config/reader.h"

namespace catchup {
namespace {

class SettingsWriter {
 public:
  explicit SettingsWriter(ConfigProblems* problems) : problems_(problems) {
    settings_.json.clear();
  }

  void Write(const TomlValue& value, const std::string& path) {
    if (const auto* table = value.As<TomlValue::Table>()) {
      WriteTable(*table, path);
    } else if (const auto* list = value.As<TomlValue::List>()) {
      WriteList(*list, path);
    } else if (const auto* text = value.As<std::string>()) {
      AppendJsonText(*text);
      Add(path, SettingKind::kText, *text);
    } else if (const auto* date = value.As<TomlValue::Date>()) {
      AppendJsonText(date->text);
      Add(path, SettingKind::kText, date->text);
    } else if (const auto* real = value.As<double>()) {
      WriteReal(*real, value, path);
    } else if (const auto* integer = value.As<std::int64_t>()) {
      WriteLiteral(path, SettingKind::kNumber, std::to_string(*integer));
    } else {
      WriteLiteral(path, SettingKind::kBoolean, *value.As<bool>() ? "true" : "false");
    }
  }

  PluginSettings Take() { return std::move(settings_); }

 private:
  static std::string Join(std::string path, const std::string& member) {
    AppendSettingKey(member, &path);
    return path;
  }

  void WriteTable(const TomlValue::Table& table, const std::string& path) {
    if (!path.empty()) {
      Add(path, SettingKind::kTable, "");
    }
    settings_.json += '{';
    for (const TomlMember& member : table) {
      if (&member != &table.front()) {
        settings_.json += ',';
      }
      AppendJsonText(member.key);
      settings_.json += ':';
      Write(member.value, Join(path, member.key));
    }
    settings_.json += '}';
  }

  void WriteList(const TomlValue::List& list, const std::string& path) {
    Add(path, SettingKind::kList, "");
    settings_.json += '[';
    for (std::size_t i = 0; i < list.size(); ++i) {
      if (i > 0) {
        settings_.json += ',';
      }
      Write(list[i], Join(path, std::to_string(i)));
    }
    settings_.json += ']';
  }

  void WriteReal(double real, const TomlValue& value, const std::string& path) {
    if (!std::isfinite(real)) {
      problems_->Add(value.location,
                     fmt::format("config.{} = {}: wanted a number that JSON can say", path,
                                 DescribeToml(value)));
      return;
    }
    char digits[40];
    const auto [end, error] = std::to_chars(digits, digits + sizeof digits, real);
    CATCHUP_CHECK(error == std::errc());
    std::string text(digits, end);
    // A whole number stays a real one for readers that tell the two apart.
    if (text.find_first_of(".e") == std::string::npos) {
      text += ".0";
    }
    WriteLiteral(path, SettingKind::kNumber, text);
  }

  void WriteLiteral(const std::string& path, SettingKind kind, const std::string& text) {
    settings_.json += text;
    Add(path, kind, text);
  }

  void AppendJsonText(const std::string& text) { AppendJsonString(text, &settings_.json); }

  void Add(const std::string& path, SettingKind kind, std::string text) {
    settings_.values.push_back({path, kind, std::move(text)});
  }

  ConfigProblems* const problems_;
  PluginSettings settings_;
};

}  // namespace

PluginSettings MakeSettings(const TomlValue& table, ConfigProblems* problems) {
  SettingsWriter writer(problems);
  writer.Write(table, "");
  return writer.Take();
}

namespace {

constexpr std::string_view kWantedSetting =
    "; wanted KEY=TOMLVALUE, as in file=\"a.jsonl\" or count=5";

// One setting alone, so that a fault names its own argument.
Status CheckArgument(const std::string& argument) {
  const std::string name = fmt::format("setting '{}': ", argument);
  const auto parsed = ParseToml(argument);
  if (const auto* error = std::get_if<TomlError>(&parsed)) {
    return Status::Invalid(name + error->text + std::string(kWantedSetting));
  }
  const auto& value = std::get<TomlValue>(parsed);
  const std::size_t keys = value.As<TomlValue::Table>()->size();
  const std::size_t begin = argument.find_first_not_of(" \t\r\n");
  // A header would take the settings behind it into its table.
  if (keys != 1 || argument[begin] == '[') {
    return Status::Invalid(fmt::format("{}found {}{}", name,
                                       keys == 0   ? "no key"
                                       : keys == 1 ? "a table's header"
                                                   : fmt::format("{} keys", keys),
                                       kWantedSetting));
  }
  ConfigProblems problems;
  (void)MakeSettings(value, &problems);
  return problems.empty()
             ? Status()
             : Status::Invalid(name +
                               "found a number that is inf or nan; wanted one that JSON has");
}

bool IsToml(const std::string& text) { return std::holds_alternative<TomlValue>(ParseToml(text)); }

// Each is right alone, and together they are not: the first that an earlier one leaves no room for.
Status Clash(const std::vector<std::string>& arguments) {
  for (std::size_t i = 1; i < arguments.size(); ++i) {
    for (std::size_t j = 0; j < i; ++j) {
      if (!IsToml(fmt::format("{}\n{}", arguments[j], arguments[i]))) {
        return Status::Invalid(
            fmt::format("setting '{}': found '{}' before it, beside which its key cannot stand; "
                        "wanted each key once",
                        arguments[i], arguments[j]));
      }
    }
  }
  return Status::Invalid("the settings are no TOML together; wanted each key once");
}

}  // namespace

Result<PluginSettings> SettingsFromArguments(const std::vector<std::string>& arguments) {
  std::string document;
  for (const std::string& argument : arguments) {
    CATCHUP_RETURN_IF_ERROR(CheckArgument(argument));
    document += argument;
    document += '\n';
  }
  const auto parsed = ParseToml(document);
  if (std::holds_alternative<TomlError>(parsed)) {
    return Clash(arguments);
  }
  ConfigProblems problems;
  return MakeSettings(std::get<TomlValue>(parsed), &problems);
}

}  // namespace catchup
