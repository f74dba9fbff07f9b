#include "host/runner/host_table.h"

#include <algorithm>
#include <cstdio>

namespace catchup {
namespace {

std::string_view Text(catchup_view view) {
  return view.data == nullptr ? std::string_view() : std::string_view(view.data, view.size);
}

catchup_view View(std::string_view text) { return {text.data(), text.size()}; }

// Offers all of `text`, also to a sink that takes it in pieces.
bool WriteAll(const catchup_sink* sink, std::string_view text) noexcept {
  while (!text.empty()) {
    const std::int64_t taken = sink->write(sink, text.data(), text.size());
    if (taken <= 0 || static_cast<std::uint64_t>(taken) > text.size()) {
      return false;
    }
    text.remove_prefix(static_cast<std::size_t>(taken));
  }
  return true;
}

static_assert(static_cast<std::int32_t>(SettingKind::kAbsent) == CATCHUP_CONFIG_ABSENT);
static_assert(static_cast<std::int32_t>(SettingKind::kText) == CATCHUP_CONFIG_TEXT);
static_assert(static_cast<std::int32_t>(SettingKind::kNumber) == CATCHUP_CONFIG_NUMBER);
static_assert(static_cast<std::int32_t>(SettingKind::kBoolean) == CATCHUP_CONFIG_BOOLEAN);
static_assert(static_cast<std::int32_t>(SettingKind::kTable) == CATCHUP_CONFIG_TABLE);
static_assert(static_cast<std::int32_t>(SettingKind::kList) == CATCHUP_CONFIG_LIST);

}  // namespace

HostTable::HostTable(const Identity& identity, std::vector<SettingView> settings,
                     HostServices* services)
    : settings_(std::move(settings)), services_(services), thread_(pthread_self()) {
  // Whatever a plugin's call sets or asks for later fits, so that it allocates nothing.
  error_.reserve(kMaxErrorText);
  for (const SettingView& setting : settings_) {
    path_limit_ = std::max(path_limit_, setting.path.size());
  }
  ++path_limit_;  // A path that was cut must not look like one of these.
  path_.reserve(path_limit_);
  table_.struct_size = sizeof table_;
  table_.lane = identity.lane;
  table_.context = this;
  table_.group = View(identity.group);
  table_.projection = View(identity.projection);
  table_.config_json = View(identity.config_json);
  table_.set_error = &HostTable::SetError;
  table_.log = &HostTable::Log;
  table_.stop_requested = &HostTable::StopRequested;
  table_.config_get = &HostTable::ConfigGet;
  table_.get_extension = &HostTable::GetExtension;
}

HostTable* HostTable::Of(const catchup_host* host) {
  return static_cast<HostTable*>(host->context);
}

void HostTable::BeginCall(CallKind kind) {
  call_ = kind;
  if (kind == CallKind::kStart) {
    threads_allowed_.store(true, std::memory_order_relaxed);
  }
  error_.clear();
}

void HostTable::EndCall() {
  if (call_ == CallKind::kStop) {
    threads_allowed_.store(false, std::memory_order_relaxed);
  }
  call_ = CallKind::kNone;
}

std::string_view HostTable::violation() const {
  const char* what = violation_.load(std::memory_order_acquire);
  return what == nullptr ? std::string_view() : std::string_view(what);
}

void HostTable::Refuse(const char* what) noexcept {
  const char* none = nullptr;
  // Every later one would only repeat the line.
  if (violation_.compare_exchange_strong(none, what, std::memory_order_acq_rel)) {
    // Room for the longest of our texts; a longer one would only be cut.
    char line[160];
    (void)std::snprintf(line, sizeof line, "against the contract: %s", what);
    services_->Log(CATCHUP_LOG_ERROR, line);
  }
}

void HostTable::SetError(const catchup_host* host, catchup_view text) noexcept {
  HostTable* self = Of(host);
  if (!self->OnInstanceThread()) {
    // The text itself is left alone: the other thread may be reading it.
    self->Refuse("called set_error from another thread: wanted the instance's own");
    return;
  }
  self->error_.assign(Text(text).substr(0, kMaxErrorText));
}

void HostTable::Log(const catchup_host* host, std::int32_t level, catchup_view text) noexcept {
  HostTable* self = Of(host);
  self->services_->Log(std::clamp(level, CATCHUP_LOG_DEBUG, CATCHUP_LOG_ERROR), Text(text));
  if (!self->OnInstanceThread() && !self->threads_allowed_.load(std::memory_order_relaxed)) {
    self->Refuse("called log from another thread before start or after stop: wanted none by then");
  }
}

std::int32_t HostTable::StopRequested(const catchup_host* host) noexcept {
  return Of(host)->services_->StopRequested() ? 1 : 0;
}

std::int32_t HostTable::ConfigGet(const catchup_host* host, catchup_view path, std::int32_t* kind,
                                  const catchup_sink* sink) noexcept {
  HostTable* self = Of(host);
  *kind = CATCHUP_CONFIG_ABSENT;
  if (!self->OnInstanceThread()) {
    self->Refuse("called config_get from another thread: wanted the instance's own");
    return CATCHUP_CONFIG_REFUSED;
  }
  if (!NormalizeSettingPath(Text(path), self->path_limit_, &self->path_)) {
    return CATCHUP_CONFIG_BAD_PATH;
  }
  for (const SettingView& setting : self->settings_) {
    if (setting.path == self->path_) {
      *kind = static_cast<std::int32_t>(setting.kind);
      const bool taken = sink == nullptr || WriteAll(sink, setting.text);
      return taken ? CATCHUP_CONFIG_OK : CATCHUP_CONFIG_REFUSED;
    }
  }
  return CATCHUP_CONFIG_OK;
}

const void* HostTable::GetExtension(const catchup_host* host, catchup_view) noexcept {
  HostTable* self = Of(host);
  if (!self->OnInstanceThread()) {
    self->Refuse("called get_extension from another thread: wanted the instance's own");
  }
  return nullptr;
}

}  // namespace catchup
