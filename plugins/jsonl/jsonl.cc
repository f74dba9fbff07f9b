// Writes every event of its group to a file, one event line each (catchup/event_line.hpp).
//
// Configuration: `file`, whose relative path counts from the working directory; `sync`, true unless
// said otherwise. At least once: after a kill the events of the last unconfirmed batch come again.
// The file may be rotated while this runs, by name or by cutting it, without a signal.

#include <string>

#include "catchup/event_line.hpp"
#include "catchup/plugin.hpp"
#include "plugins/jsonl/line_file.h"

namespace catchup {
namespace {

class Jsonl : public BatchProjection {
 public:
  // One sync a call, which costs about what formatting a thousand events does.
  static constexpr std::uint32_t kMaxEvents = 1024;

  explicit Jsonl(Host host)
      : host_(host),
        path_(host.RequirePath("file")),
        sync_(host.Get("sync", true)),
        file_([host](const std::string& text, bool warn) {
          host.Log(warn ? CATCHUP_LOG_WARN : CATCHUP_LOG_INFO, text);
        }) {
    host.RequireOnly({"file", "sync"});
  }

  void Start() override {
    file_.Open(path_);
    if (!sync_) {
      host_.Warn(path_ +
                 ": sync = false: events that count as handled may be missing from the file after "
                 "a power failure or a crash of the system, and do not come again");
    }
  }

  void Stop() override { file_.Close(); }

  void Handle(const Event& event) override {
    const catchup_event* const one = &event.raw();
    Write(Events(&one, 1));
  }

  // All or nothing, so `applied` stays 0.
  void HandleBatch(Events events, std::uint64_t&) override { Write(events); }

 private:
  void Write(Events events) {
    lines_.clear();
    for (const Event event : events) {
      const EventLine line = {.stream = event.stream(),
                              .type = event.type(),
                              .data = event.data(),
                              .metadata = event.metadata(),
                              .id = event.id(),
                              .revision = event.revision(),
                              .commit = event.position().commit,
                              .prepare = event.position().prepare,
                              .created_ticks = event.created_ticks(),
                              .is_json = event.is_json()};
      AppendEventLine(&lines_, line);
      lines_.push_back('\n');
    }
    file_.Append(lines_, sync_);
    // A few large events must not hold their memory for good.
    constexpr std::size_t kKeptBytes = 4u << 20;
    if (lines_.capacity() > kKeptBytes) lines_ = std::string();
  }

  Host host_;
  std::string path_;
  bool sync_;
  LineFile file_;
  std::string lines_;  // Of the current call; a member to keep its memory.
};

}  // namespace
}  // namespace catchup

CATCHUP_PLUGIN("jsonl", CATCHUP_JSONL_VERSION, catchup::Offer<catchup::Jsonl>("jsonl"))
