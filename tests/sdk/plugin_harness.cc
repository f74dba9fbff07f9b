#include "tests/sdk/plugin_harness.h"

#include <dlfcn.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "host/base/plugin_setting.h"

namespace catchup::test {
namespace {

std::string_view Text(catchup_view view) {
  return {view.data, static_cast<std::size_t>(view.size)};
}

catchup_view View(std::string_view text) { return {text.data(), text.size()}; }

using Settings = std::map<std::string, std::pair<std::int32_t, std::string>>;

void Flatten(const nlohmann::json& value, const std::string& path, Settings* settings) {
  if (value.is_structured()) {
    if (!path.empty()) {
      (*settings)[path] = {value.is_array() ? CATCHUP_CONFIG_LIST : CATCHUP_CONFIG_TABLE, ""};
    }
    std::size_t index = 0;
    for (const auto& item : value.items()) {
      std::string member = path;
      AppendSettingKey(value.is_array() ? std::to_string(index++) : item.key(), &member);
      Flatten(item.value(), member, settings);
    }
  } else if (value.is_string()) {
    (*settings)[path] = {CATCHUP_CONFIG_TEXT, value.get<std::string>()};
  } else {
    (*settings)[path] = {value.is_boolean() ? CATCHUP_CONFIG_BOOLEAN : CATCHUP_CONFIG_NUMBER,
                         value.dump()};
  }
}

}  // namespace

FakeHost::FakeHost(std::string config_json, std::string group)
    : config_json_(std::move(config_json)), group_(std::move(group)) {
  const auto parsed = nlohmann::json::parse(config_json_, nullptr, false);
  if (!parsed.is_discarded()) Flatten(parsed, "", &settings_);
  table_.struct_size = sizeof table_;
  table_.context = this;
  table_.group = View(group_);
  table_.projection = View("projection");
  table_.config_json = View(config_json_);
  table_.set_error = [](const catchup_host* host, catchup_view text) {
    Of(host).error_ = Text(text);
  };
  table_.log = [](const catchup_host* host, int32_t level, catchup_view text) {
    Of(host).log_lines.emplace_back(level, Text(text));
  };
  table_.stop_requested = [](const catchup_host* host) { return Of(host).stop_requested ? 1 : 0; };
  table_.config_get = [](const catchup_host* host, catchup_view path, std::int32_t* kind,
                         const catchup_sink* sink) {
    const FakeHost& self = Of(host);
    *kind = CATCHUP_CONFIG_ABSENT;
    std::string key;
    if (!NormalizeSettingPath(Text(path), path.size * 6, &key)) return CATCHUP_CONFIG_BAD_PATH;
    const auto found = self.settings_.find(key);
    if (found == self.settings_.end()) return CATCHUP_CONFIG_OK;
    *kind = found->second.first;
    const std::string& text = found->second.second;
    // In two pieces, as a sink must expect.
    const std::size_t half = text.size() / 2;
    if (sink->write(sink, text.data(), half) < 0) return CATCHUP_CONFIG_REFUSED;
    if (sink->write(sink, text.data() + half, text.size() - half) < 0) {
      return CATCHUP_CONFIG_REFUSED;
    }
    return CATCHUP_CONFIG_OK;
  };
  table_.get_extension = [](const catchup_host*, catchup_view) -> const void* { return nullptr; };
}

FakeHost& FakeHost::Of(const catchup_host* table) {
  return *static_cast<FakeHost*>(table->context);
}

catchup_event TestEvent::raw() const {
  catchup_event event{};
  event.struct_size = sizeof event;
  event.flags = is_json ? CATCHUP_EVENT_JSON : 0;
  event.stream = View(stream);
  event.type = View(type);
  event.data = View(data);
  event.metadata = View(metadata);
  event.id[15] = static_cast<std::uint8_t>(position);
  event.revision = revision;
  event.position = {position, position};
  event.attempt = 1;
  return event;
}

RawEvents::RawEvents(const std::vector<TestEvent>& events) {
  for (const TestEvent& event : events) events_.push_back(event.raw());
  for (const catchup_event& event : events_) pointers_.push_back(&event);
}

const catchup_projection* LoadProjection(const std::string& path, std::size_t index) {
  void* const library = ::dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) {
    std::fprintf(stderr, "%s\n", ::dlerror());
    std::abort();
  }
  const auto entry =
      reinterpret_cast<decltype(&catchup_plugin_entry)>(::dlsym(library, "catchup_plugin_entry"));
  if (entry == nullptr || index >= entry()->projection_count) std::abort();
  return entry()->projections[index];
}

Instance::~Instance() {
  if (self_ == nullptr) return;
  if (started_) Stop();
  projection_->destroy(self_);
}

std::int32_t Instance::Start() {
  const std::int32_t status = projection_->start(self_);
  started_ = status == CATCHUP_OK;
  return status;
}

void Instance::Stop() {
  projection_->stop(self_);
  started_ = false;
}

std::int32_t Instance::Handle(const TestEvent& event) {
  const catchup_event raw = event.raw();
  return projection_->handle(self_, &raw);
}

std::int32_t Instance::HandleBatch(const std::vector<TestEvent>& events, std::uint64_t* applied) {
  const RawEvents raw(events);
  std::uint64_t unwatched = 0;
  if (applied == nullptr) applied = &unwatched;
  *applied = 0;
  return batch()->handle_batch(self_, raw.data(), raw.size(), applied);
}

const void* Instance::Extension(std::string_view id) const {
  return projection_->get_extension == nullptr ? nullptr
                                               : projection_->get_extension(projection_, View(id));
}

const catchup_batch* Instance::batch() const {
  return static_cast<const catchup_batch*>(Extension(CATCHUP_EXT_BATCH));
}

const catchup_position_keeper* Instance::keeper() const {
  return static_cast<const catchup_position_keeper*>(Extension(CATCHUP_EXT_POSITION));
}

}  // namespace catchup::test
