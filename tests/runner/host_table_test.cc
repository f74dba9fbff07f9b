#include "host/runner/host_table.h"

#include <gtest/gtest.h>
#include <signal.h>

#include <cstdlib>
#include <cstring>
#include <new>
#include <stdexcept>
#include <thread>

namespace {

// While true, this thread's allocations fail.
thread_local bool t_memory_is_out = false;

void* Allocate(std::size_t size) {
  void* memory = t_memory_is_out ? nullptr : std::malloc(size == 0 ? 1 : size);
  if (memory == nullptr) {
    throw std::bad_alloc();
  }
  return memory;
}

}  // namespace

// The whole program's, as the language has it.
void* operator new(std::size_t size) { return Allocate(size); }
void* operator new[](std::size_t size) { return Allocate(size); }
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete[](void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::size_t) noexcept { std::free(memory); }

namespace catchup {
namespace {

class OutOfMemory {
 public:
  OutOfMemory() { t_memory_is_out = true; }
  ~OutOfMemory() { t_memory_is_out = false; }
  OutOfMemory(const OutOfMemory&) = delete;
  OutOfMemory& operator=(const OutOfMemory&) = delete;
};

// Keeps the last line.
class LastLine : public HostServices {
 public:
  void Log(std::int32_t, std::string_view text) noexcept override {
    size_ = text.copy(bytes_, sizeof bytes_);
  }
  bool StopRequested() noexcept override { return false; }

  std::string_view text() const { return {bytes_, size_}; }

 private:
  char bytes_[256];
  std::size_t size_ = 0;
};

std::int64_t TakeAll(const catchup_sink* sink, const char* data, std::uint64_t size) {
  std::memcpy(sink->context, data, size);
  return static_cast<std::int64_t>(size);
}

std::int64_t Throw(const catchup_sink*, const char*, std::uint64_t) {
  throw std::runtime_error("from a sink");
}

// What a plugin calls, seen from its side.
class HostTableTest : public testing::Test {
 protected:
  LastLine services_;
  HostTable table_{{"a-group", "a-projection", "{}"},
                   {{"database", SettingKind::kTable, ""},
                    {"database.host", SettingKind::kText, "db.example"},
                    {"\"a.b\"", SettingKind::kNumber, "1"},
                    {"a", SettingKind::kTable, ""},
                    {"a.b", SettingKind::kNumber, "2"}},
                   &services_};
  const catchup_host* host_ = table_.table();
};

TEST_F(HostTableTest, NothingThrowsWhenMemoryIsOut) {
  const std::string longest(kMaxErrorText, 'e');
  char found[32] = "";
  std::int32_t kind = -1;
  const catchup_sink sink = {sizeof sink, 0, found, TakeAll};
  {
    const OutOfMemory out;
    table_.BeginCall(CallKind::kCreate);
    host_->set_error(host_, {longest.data(), longest.size()});
    host_->log(host_, CATCHUP_LOG_INFO, CATCHUP_LITERAL("a line"));
    EXPECT_EQ(host_->config_get(host_, CATCHUP_LITERAL("database . 'host'"), &kind, &sink),
              CATCHUP_CONFIG_OK);
    EXPECT_EQ(kind, CATCHUP_CONFIG_TEXT);
    EXPECT_EQ(host_->config_get(host_, {longest.data(), longest.size()}, &kind, &sink),
              CATCHUP_CONFIG_OK);
    EXPECT_EQ(kind, CATCHUP_CONFIG_ABSENT);
    EXPECT_EQ(host_->get_extension(host_, CATCHUP_LITERAL("absent/1")), nullptr);
    EXPECT_EQ(host_->stop_requested(host_), 0);
    table_.EndCall();
  }
  EXPECT_EQ(table_.error(), longest);
  EXPECT_STREQ(found, "db.example");
  EXPECT_EQ(services_.text(), "a line");
}

TEST_F(HostTableTest, RefusesWhenMemoryIsOut) {
  std::thread([&] {
    const OutOfMemory out;
    host_->set_error(host_, CATCHUP_LITERAL("from elsewhere"));
  }).join();
  EXPECT_EQ(
      services_.text(),
      "against the contract: called set_error from another thread: wanted the instance's own");
  EXPECT_EQ(table_.error(), "");
}

// One key with a dot in it and two keys are two values, however the key is written.
TEST_F(HostTableTest, APathIsADottedKey) {
  const auto look = [&](std::string_view path) {
    char found[32] = "";
    std::int32_t kind = -1;
    const catchup_sink sink = {sizeof sink, 0, found, TakeAll};
    const std::int32_t result = host_->config_get(host_, {path.data(), path.size()}, &kind, &sink);
    return std::to_string(result) + " " + std::to_string(kind) + " " + found;
  };
  EXPECT_EQ(look("\"a.b\""), "0 2 1");
  EXPECT_EQ(look("'a.b'"), "0 2 1");
  EXPECT_EQ(look("\"\\u0061.b\""), "0 2 1");
  EXPECT_EQ(look("a.b"), "0 2 2");
  EXPECT_EQ(look("a . \"b\""), "0 2 2");
  EXPECT_EQ(look("a"), "0 4 ");
  EXPECT_EQ(look("a.c"), "0 0 ");
  EXPECT_EQ(look("database.host.x"), "0 0 ");
  EXPECT_EQ(look("database.hos"), "0 0 ");
  EXPECT_EQ(look(""), "-1 0 ");
  EXPECT_EQ(look("a."), "-1 0 ");
}

TEST_F(HostTableTest, WithoutASinkOnlyTheKindIsAsked) {
  std::int32_t kind = -1;
  EXPECT_EQ(host_->config_get(host_, CATCHUP_LITERAL("database.host"), &kind, nullptr),
            CATCHUP_CONFIG_OK);
  EXPECT_EQ(kind, CATCHUP_CONFIG_TEXT);
}

// Not caught, because the plugin goes on as if nothing was: the process ends where it happened.
TEST_F(HostTableTest, SinkThatThrowsEndsTheProcess) {
  const catchup_sink sink = {sizeof sink, 0, nullptr, Throw};
  EXPECT_EXIT(
      {
        try {
          std::int32_t kind = 0;
          (void)host_->config_get(host_, CATCHUP_LITERAL("database.host"), &kind, &sink);
        } catch (const std::exception&) {
          std::_Exit(0);
        }
      },
      testing::KilledBySignal(SIGABRT), "from a sink");
}

}  // namespace
}  // namespace catchup
