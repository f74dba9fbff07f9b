#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace catchup {

// Exit codes of every command.
inline constexpr int kExitDone = 0;
inline constexpr int kExitFailed = 1;
inline constexpr int kExitUsage = 2;
inline constexpr int kExitConfiguration = 78;

// The commands of `catchup`, after their arguments were read. Each returns the exit code. Results
// go to standard output, everything else to standard error.

struct RunArguments {
  std::filesystem::path config;
  bool until_caught_up = false;
  std::string group;
};
int RunCommand(const RunArguments& arguments);

// stop, start and reset of a group, by way of the host that runs, or on what is stored.
struct ControlArguments {
  enum class Command : std::uint8_t { kStop, kStart, kReset };
  Command command = Command::kStop;
  std::string group;
  std::filesystem::path config = "catchup.toml";
  bool json = false;
  bool accept_filter = false;  // kStart
  bool take_over = false;      // kStart
  std::string to;              // kReset
};
int ControlCommand(const ControlArguments& arguments);

struct CheckArguments {
  std::filesystem::path file;
  bool create = false;  // Check each plugin's configuration too, by its `create`.
};
int CheckCommand(const CheckArguments& arguments);

struct AppendArguments {
  std::string to;
  std::string events;  // "-" is standard input.
  std::uint64_t from_line = 1;
  std::string resume;  // The token of the run to go on with; empty for a new one.
  std::string credentials_file;
};
int AppendCommand(const AppendArguments& arguments);

struct DevServerArguments {
  std::string listen = "127.0.0.1:2113";
  std::string data = "./catchup-events";
  std::string max_append_size = "1MiB";
};
int DevServerCommand(const DevServerArguments& arguments);

struct TryArguments {
  std::filesystem::path plugin;
  std::filesystem::path events;
  std::string projection;
  std::vector<std::string> settings;  // KEY=TOMLVALUE
  std::filesystem::path work;         // Empty: a fresh temporary directory.
  bool with_position = false;
  std::uint32_t batch = 1;  // Events a call.
  bool json = false;
  std::string start_timeout = "30s";
};
int TryCommand(const TryArguments& arguments);

// Dead letters. Texts as given; empty: not given.
struct DlqArguments {
  std::string verb;  // "list", "show", "export", "retry", "drop", "park", "unpark"
  std::filesystem::path config;
  std::string group;
  std::string id;  // COMMIT:PREPARE
  std::string state;
  std::string letter_class;
  std::string stream;
  std::string type;
  std::string older;  // A duration.
  std::string newer;
  std::uint64_t limit = 0;  // 0: none.
  bool json = false;
  bool all = false;
  bool dropped = false;
  bool held = false;
  std::string reason;
  std::string patience = "5m";  // Of a retry, for one letter.
};
int DlqCommand(const DlqArguments& arguments);

}  // namespace catchup
