#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "catchup/plugin.h"
#include "tests/test_files.h"

namespace catchup::test {

// The host's side of the ABI as one instance sees it, recording what the plugin does. Not movable:
// the table points into it.
class FakeHost {
 public:
  explicit FakeHost(std::string config_json, std::string group = "group");
  FakeHost(const FakeHost&) = delete;
  FakeHost& operator=(const FakeHost&) = delete;

  catchup_host* table() { return &table_; }
  // The text of the last set_error since the last TakeError.
  std::string TakeError() { return std::exchange(error_, {}); }

  std::vector<std::pair<std::int32_t, std::string>> log_lines;
  bool stop_requested = false;

 private:
  static FakeHost& Of(const catchup_host* table);

  std::string config_json_;
  std::string group_;
  std::map<std::string, std::pair<std::int32_t, std::string>> settings_;  // Kind, text; by path.
  std::string error_;
  catchup_host table_{};
};

// An event that owns its bytes.
struct TestEvent {
  std::string stream = "stream-1";
  std::string type = "type";
  std::string data = {};
  std::string metadata = {};
  std::uint64_t revision = 0;
  std::uint64_t position = 0;  // Both halves.
  bool is_json = true;

  // Borrows this event.
  catchup_event raw() const;
};

// The same events as the array the ABI passes. Borrows them.
class RawEvents {
 public:
  explicit RawEvents(const std::vector<TestEvent>& events);

  const catchup_event* const* data() const { return pointers_.data(); }
  std::uint64_t size() const { return pointers_.size(); }

 private:
  std::vector<catchup_event> events_;
  std::vector<const catchup_event*> pointers_;
};

// The projection at `index` of the shared object at `path`, loaded as the runner does and never
// unloaded. Ends the process with a message if there is none.
const catchup_projection* LoadProjection(const std::string& path, std::size_t index = 0);

// One instance of a projection, destroyed at the end and stopped before that if it was started.
class Instance {
 public:
  Instance(const catchup_projection* projection, FakeHost* host)
      : projection_(projection), host_(host) {}
  Instance(const Instance&) = delete;
  Instance& operator=(const Instance&) = delete;
  ~Instance();

  std::int32_t Create() { return projection_->create(host_->table(), &self_); }
  std::int32_t Start();
  void Stop();

  std::int32_t Handle(const TestEvent& event);
  // `applied`, if given, is where the plugin's count goes.
  std::int32_t HandleBatch(const std::vector<TestEvent>& events, std::uint64_t* applied = nullptr);

  catchup_instance* self() const { return self_; }
  const catchup_batch* batch() const;
  const catchup_position_keeper* keeper() const;

 private:
  const void* Extension(std::string_view id) const;

  const catchup_projection* projection_;
  FakeHost* host_;
  catchup_instance* self_ = nullptr;
  bool started_ = false;
};

}  // namespace catchup::test
