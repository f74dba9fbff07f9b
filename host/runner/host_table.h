#pragma once

#include <catchup/plugin.h>
#include <pthread.h>

#include <atomic>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "host/ring/layout.h"
#include "host/ring/runner_end.h"

namespace catchup {

// Where the functions that a plugin may call end up: the ring in a runner, the terminal in a test.
// Called from inside a plugin's call, so they neither throw nor allocate.
class HostServices {
 public:
  virtual ~HostServices() = default;
  // Any thread.
  virtual void Log(std::int32_t level, std::string_view text) noexcept = 0;
  // Any thread.
  virtual bool StopRequested() noexcept = 0;
};

// The catchup_host table of one instance, and the text of the call in progress. Holds each of its
// functions to the ABI's tags: a call that breaks one is refused, logged, and breaks the contract.
//
// None of the functions throws into a plugin, and none has a reason to: they allocate nothing. What
// is left is a plugin's own sink that throws, against the ABI; noexcept makes that the end of the
// process at once, with a crash report that shows the sink, instead of an exception which passes
// through two sides' frames.
//
// Belongs to the instance thread, which makes it, except what a plugin may call from any thread,
// rightly or wrongly.
class HostTable {
 public:
  struct Identity {
    std::string_view group;
    std::string_view projection;
    std::string_view config_json;
    std::uint32_t lane = 0;
  };

  // All views and `services` must outlive the table.
  HostTable(const Identity& identity, std::vector<SettingView> settings, HostServices* services);
  HostTable(const HostTable&) = delete;
  HostTable& operator=(const HostTable&) = delete;

  const catchup_host* table() const { return &table_; }

  // A call into the plugin begins: clears the text of the one before.
  void BeginCall(CallKind kind);
  void EndCall();
  const std::string& error() const { return error_; }

  // What the plugin did against a tag, the first time; empty while it never has. Static text.
  std::string_view violation() const;

 private:
  static HostTable* Of(const catchup_host* host);
  static void SetError(const catchup_host* host, catchup_view text) noexcept;
  static void Log(const catchup_host* host, std::int32_t level, catchup_view text) noexcept;
  static std::int32_t StopRequested(const catchup_host* host) noexcept;
  static std::int32_t ConfigGet(const catchup_host* host, catchup_view path, std::int32_t* kind,
                                const catchup_sink* sink) noexcept;
  static const void* GetExtension(const catchup_host* host, catchup_view id) noexcept;

  bool OnInstanceThread() const { return pthread_equal(thread_, pthread_self()) != 0; }
  void Refuse(const char* what) noexcept;

  catchup_host table_{};
  std::vector<SettingView> settings_;
  HostServices* services_;
  pthread_t thread_;
  CallKind call_ = CallKind::kNone;
  // Set from the begin of start to the end of stop, while the plugin may have threads.
  std::atomic<bool> threads_allowed_ = false;
  std::atomic<const char*> violation_ = nullptr;
  // Neither outgrows what the constructor reserves.
  std::string error_;
  std::string path_;  // What config_get was asked for.
  std::size_t path_limit_ = 0;
};

}  // namespace catchup
