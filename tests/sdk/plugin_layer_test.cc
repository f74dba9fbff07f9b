// The C++ layer, driven through the C tables as a host does.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unwind.h>

#include <cstring>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "catchup/plugin.hpp"
#include "tests/sdk/plugin_harness.h"

namespace catchup::test {
namespace {

using testing::ElementsAre;

// What the projections below do, set by each test.
struct Script {
  std::function<void(Host)> create = [](Host) {};
  std::function<void()> start = [] {};
  std::function<void()> stop = [] {};
  std::function<void(const Event&)> handle = [](const Event&) {};
  std::function<void(Events, std::uint64_t&)> batch = [](Events, std::uint64_t&) {};
  std::optional<catchup_position> stored;
  std::function<void(std::optional<catchup_position>, catchup_position, std::uint64_t)> at;
  int destroyed = 0;
};
Script script;

class Plain : public Projection {
 public:
  explicit Plain(Host host) { script.create(host); }
  ~Plain() override { ++script.destroyed; }
  void Start() override { script.start(); }
  void Stop() override { script.stop(); }
  void Handle(const Event& event) override { script.handle(event); }
};

class Batch : public BatchProjection {
 public:
  static constexpr std::uint32_t kMaxEvents = 7;
  explicit Batch(Host) {}
  void Handle(const Event& event) override { script.handle(event); }
  void HandleBatch(Events events, std::uint64_t& applied) override {
    script.batch(events, applied);
  }
};

class Keeper : public PositionProjection {
 public:
  explicit Keeper(Host) {}
  std::optional<catchup_position> LoadPosition(std::uint64_t token) override {
    if (token == 1) throw Fatal("fenced: token 2 seen, ours 1");
    return script.stored;
  }
  void HandleAt(Events, std::optional<catchup_position> previous, catchup_position position,
                std::uint64_t token) override {
    script.at(previous, position, token);
  }
  void SetPosition(std::optional<catchup_position> position, std::uint64_t) override {
    script.stored = position;
  }
};

}  // namespace
}  // namespace catchup::test

CATCHUP_PLUGIN("layer", "1.2.3", catchup::Offer<catchup::test::Plain>("plain"),
               catchup::Offer<catchup::test::Batch>("batch"),
               catchup::Offer<catchup::test::Keeper>("keeper"))

namespace catchup::test {
namespace {

class PluginLayerTest : public ::testing::Test {
 protected:
  void SetUp() override { script = {}; }

  static const catchup_projection* Offered(std::size_t index) {
    return catchup_plugin_entry()->projections[index];
  }

  // The status and text of a Handle that runs `body`.
  std::pair<std::int32_t, std::string> Throwing(std::function<void()> body) {
    Instance instance(Offered(0), &host_);
    script.handle = [body](const Event&) { body(); };
    EXPECT_EQ(instance.Create(), CATCHUP_OK);
    EXPECT_EQ(instance.Start(), CATCHUP_OK);
    const std::int32_t status = instance.Handle({});
    return {status, host_.TakeError()};
  }

  FakeHost host_{"{}"};
};

using StatusAndText = std::pair<std::int32_t, std::string>;

TEST_F(PluginLayerTest, TheEntryDescribesEveryOffer) {
  const catchup_plugin& plugin = *catchup_plugin_entry();

  EXPECT_EQ(plugin.header.magic, CATCHUP_MAGIC);
  EXPECT_EQ(plugin.header.struct_size, sizeof(catchup_plugin));
  EXPECT_EQ(ToText(plugin.name), "layer");
  EXPECT_EQ(ToText(plugin.version), "1.2.3");
  ASSERT_EQ(plugin.projection_count, 3u);
  EXPECT_EQ(ToText(Offered(0)->name), "plain");
  EXPECT_EQ(ToText(Offered(2)->name), "keeper");
  EXPECT_EQ(Offered(0)->struct_size, sizeof(catchup_projection));
  EXPECT_EQ(catchup_plugin_entry(), &plugin);
}

TEST_F(PluginLayerTest, AnExtensionIsThereOnlyWhereTheClassHasItAndOnlyToTheLetter) {
  EXPECT_EQ(Offered(0)->get_extension, nullptr);
  Instance batch(Offered(1), &host_);
  ASSERT_NE(batch.batch(), nullptr);
  EXPECT_EQ(batch.batch()->max_events, 7u);
  EXPECT_EQ(batch.keeper(), nullptr);
  EXPECT_NE(Offered(1)->handle, nullptr);
  Instance keeper(Offered(2), &host_);
  ASSERT_NE(keeper.keeper(), nullptr);
  EXPECT_EQ(keeper.keeper()->max_events, 256u);
  EXPECT_EQ(keeper.batch(), nullptr);
  EXPECT_EQ(Offered(2)->handle, nullptr);
  for (const char* id : {"", "catchup.batch/", "catchup.batch/10", "catchup.batch/2", "CATCHUP"}) {
    EXPECT_EQ(Offered(1)->get_extension(Offered(1), ToView(id)), nullptr) << id;
  }
}

TEST_F(PluginLayerTest, EachErrorTypeIsItsStatus) {
  EXPECT_EQ(Throwing([] {}), (StatusAndText{CATCHUP_OK, ""}));
  EXPECT_EQ(Throwing([] { throw Retry("a"); }), (StatusAndText{CATCHUP_RETRY, "a"}));
  EXPECT_EQ(Throwing([] { throw Reject("b"); }), (StatusAndText{CATCHUP_REJECT, "b"}));
  EXPECT_EQ(Throwing([] { throw Fatal("c"); }), (StatusAndText{CATCHUP_FATAL, "c"}));
}

TEST_F(PluginLayerTest, TheErrorsHaveTheirNamesInOtherHostsToo) {
  EXPECT_EQ(Throwing([] { throw DomainError("b"); }), (StatusAndText{CATCHUP_REJECT, "b"}));
  EXPECT_EQ(Throwing([] { throw TransientError("a"); }), (StatusAndText{CATCHUP_RETRY, "a"}));
  EXPECT_EQ(Throwing([] { throw FatalError("c"); }), (StatusAndText{CATCHUP_FATAL, "c"}));
}

TEST_F(PluginLayerTest, AClassOfThePluginsOwnIsWhatItIsDerivedFrom) {
  struct NoSuchCustomer : DomainError {
    NoSuchCustomer() : DomainError("no such customer") {}
  };
  EXPECT_EQ(Throwing([] { throw NoSuchCustomer(); }),
            (StatusAndText{CATCHUP_REJECT, "no such customer"}));
}

// Another language's, of which C++ knows no more than that it is there.
TEST_F(PluginLayerTest, AForeignExceptionIsFailed) {
  static _Unwind_Exception foreign{};
  EXPECT_EQ(Throwing([] { _Unwind_RaiseException(&foreign); }),
            (StatusAndText{CATCHUP_FAILED, "an exception that is not a std::exception"}));
}

TEST_F(PluginLayerTest, AnythingElseThrownIsFailedWithItsText) {
  EXPECT_EQ(Throwing([] { throw std::runtime_error("d"); }), (StatusAndText{CATCHUP_FAILED, "d"}));
  EXPECT_EQ(Throwing([] { throw "text"; }), (StatusAndText{CATCHUP_FAILED, "text"}));
  EXPECT_EQ(Throwing([] { throw std::string("s"); }), (StatusAndText{CATCHUP_FAILED, "s"}));
  EXPECT_EQ(Throwing([] { throw 42; }),
            (StatusAndText{CATCHUP_FAILED, "an exception that is not a std::exception"}));
}

// A failure without a text tells nobody anything.
TEST_F(PluginLayerTest, AnErrorAlwaysHasAText) {
  EXPECT_EQ(Throwing([] { throw Reject(""); }),
            (StatusAndText{CATCHUP_REJECT, "an exception without a text"}));
  EXPECT_EQ(Throwing([] { throw std::string(); }),
            (StatusAndText{CATCHUP_FAILED, "an exception without a text"}));
}

TEST_F(PluginLayerTest, AFailedCreateLeavesNothing) {
  script.create = [](Host) { throw Fatal("no"); };
  catchup_instance* const before = reinterpret_cast<catchup_instance*>(this);
  catchup_instance* out = before;

  EXPECT_EQ(Offered(0)->create(host_.table(), &out), CATCHUP_FATAL);

  EXPECT_EQ(out, before);
  EXPECT_EQ(host_.TakeError(), "no");
}

TEST_F(PluginLayerTest, RejectOutsideOfEventsIsFailed) {
  script.start = [] { throw Reject("not here"); };
  Instance instance(Offered(0), &host_);
  ASSERT_EQ(instance.Create(), CATCHUP_OK);

  EXPECT_EQ(instance.Start(), CATCHUP_FAILED);
  EXPECT_EQ(host_.TakeError(), "not here");
}

TEST_F(PluginLayerTest, AnExceptionFromStopIsLogged) {
  script.stop = [] { throw std::runtime_error("late"); };
  {
    Instance instance(Offered(0), &host_);
    ASSERT_EQ(instance.Create(), CATCHUP_OK);
    ASSERT_EQ(instance.Start(), CATCHUP_OK);
  }
  ASSERT_THAT(host_.log_lines,
              ElementsAre(std::pair(CATCHUP_LOG_ERROR, std::string("stop: late"))));
  EXPECT_EQ(script.destroyed, 1);
}

TEST_F(PluginLayerTest, AnEventShowsEveryField) {
  TestEvent event{.stream = "s",
                  .type = "$t",
                  .data = "d",
                  .metadata = "m",
                  .revision = 5,
                  .position = 9,
                  .is_json = true};
  catchup_event raw = event.raw();
  raw.flags |= CATCHUP_EVENT_SYSTEM;
  raw.created_ticks = 10'000'000;
  raw.attempt = 2;
  raw.lane = 3;
  const Event wrapped(&raw);

  EXPECT_EQ(wrapped.stream(), "s");
  EXPECT_EQ(wrapped.type(), "$t");
  EXPECT_EQ(wrapped.data(), "d");
  EXPECT_EQ(wrapped.metadata(), "m");
  EXPECT_EQ(wrapped.revision(), 5u);
  EXPECT_EQ(wrapped.position().prepare, 9u);
  EXPECT_EQ(wrapped.id()[15], 9);
  EXPECT_EQ(wrapped.id_text(), "00000000-0000-0000-0000-000000000009");
  EXPECT_EQ(wrapped.created(), std::chrono::sys_seconds(std::chrono::seconds(1)));
  EXPECT_EQ(wrapped.attempt(), 2u);
  EXPECT_EQ(wrapped.lane(), 3u);
  EXPECT_TRUE(wrapped.is_json());
  EXPECT_TRUE(wrapped.is_system());
}

class BatchLayerTest : public PluginLayerTest {
 protected:
  // Status and count of a batch of three events in which `body` runs.
  std::pair<std::int32_t, std::uint64_t> Run(std::function<void(Events, std::uint64_t&)> body) {
    script.batch = std::move(body);
    Instance instance(Offered(1), &host_);
    EXPECT_EQ(instance.Create(), CATCHUP_OK);
    EXPECT_EQ(instance.Start(), CATCHUP_OK);
    std::uint64_t applied = 0;
    const std::int32_t status = instance.HandleBatch(std::vector<TestEvent>(3), &applied);
    return {status, applied};
  }
};

using StatusAndCount = std::pair<std::int32_t, std::uint64_t>;

TEST_F(BatchLayerTest, PassesTheEventsInOrder) {
  std::size_t seen = 0;
  EXPECT_EQ(Run([&](Events events, std::uint64_t&) {
              for (const Event event : events) {
                EXPECT_EQ(&event.raw(), &events[seen].raw());
                ++seen;
              }
            }),
            (StatusAndCount{CATCHUP_OK, 3}));
  EXPECT_EQ(seen, 3u);
}

TEST_F(BatchLayerTest, AnErrorKeepsTheCountOfWhatWasApplied) {
  EXPECT_EQ(Run([](Events, std::uint64_t& applied) {
              applied = 2;
              throw Reject("third");
            }),
            (StatusAndCount{CATCHUP_REJECT, 2}));
}

// No status fits "all applied, and an error": then nothing counts, and at least once covers it.
TEST_F(BatchLayerTest, AnErrorAfterAllWereAppliedCountsNone) {
  EXPECT_EQ(Run([](Events, std::uint64_t& applied) {
              applied = 3;
              throw Retry("afterwards");
            }),
            (StatusAndCount{CATCHUP_RETRY, 0}));
}

TEST_F(PluginLayerTest, PositionsPassThroughBothWays) {
  Instance instance(Offered(2), &host_);
  ASSERT_EQ(instance.Create(), CATCHUP_OK);
  ASSERT_EQ(instance.Start(), CATCHUP_OK);
  catchup_loaded_position loaded{7, 7, {7, 7}};
  EXPECT_EQ(instance.keeper()->load_position(instance.self(), 5, &loaded), CATCHUP_OK);
  EXPECT_EQ(loaded.present, 0);
  const catchup_position position{4, 3};
  EXPECT_EQ(instance.keeper()->set_position(instance.self(), &position, 5), CATCHUP_OK);
  EXPECT_EQ(instance.keeper()->load_position(instance.self(), 5, &loaded), CATCHUP_OK);
  EXPECT_EQ(loaded.present, 1);
  EXPECT_EQ(loaded.position.commit, 4u);
  EXPECT_EQ(loaded.position.prepare, 3u);
  EXPECT_EQ(instance.keeper()->set_position(instance.self(), nullptr, 5), CATCHUP_OK);
  EXPECT_FALSE(script.stored.has_value());
  EXPECT_EQ(instance.keeper()->load_position(instance.self(), 1, &loaded), CATCHUP_FATAL);
  EXPECT_EQ(host_.TakeError(), "fenced: token 2 seen, ours 1");

  int calls = 0;
  script.at = [&](std::optional<catchup_position> previous, catchup_position now,
                  std::uint64_t token) {
    EXPECT_EQ(previous.has_value(), calls == 1);
    EXPECT_EQ(now.commit, 4u);
    EXPECT_EQ(token, 6u);
    ++calls;
  };
  EXPECT_EQ(instance.keeper()->handle_at(instance.self(), nullptr, 0, nullptr, &position, 6),
            CATCHUP_OK);
  EXPECT_EQ(instance.keeper()->handle_at(instance.self(), nullptr, 0, &position, &position, 6),
            CATCHUP_OK);
  EXPECT_EQ(calls, 2);
}

// ---- Configuration ----

std::string FatalText(const std::function<void()>& body) {
  try {
    body();
  } catch (const Fatal& error) {
    return error.what();
  }
  return "nothing was thrown";
}

TEST(HostConfigTest, ReadsScalarsByPath) {
  FakeHost fake(R"({"a":{"b":"text","n":-5},"on":true,"half":0.5,"list":["x","y"],"empty":""})");
  const Host host(fake.table());

  EXPECT_EQ(host.config("a.b"), "text");
  EXPECT_EQ(host.config("list.1"), "y");
  EXPECT_EQ(host.config("absent"), std::nullopt);
  EXPECT_EQ(host.Require<int>("a.n"), -5);
  EXPECT_EQ(host.Get("on", false), true);
  EXPECT_EQ(host.Get("half", 1.0), 0.5);
  EXPECT_EQ(host.Get<std::string>("absent", "default"), "default");
  EXPECT_EQ(host.Find<std::string>("empty"), "");
  EXPECT_EQ(host.group(), "group");
}

TEST(HostConfigTest, AKeyWithADotIsNotTwoKeys) {
  FakeHost fake(R"({"a.b":1,"a":{"b":2}})");
  const Host host(fake.table());

  EXPECT_EQ(host.Find<int>("\"a.b\""), 1);
  EXPECT_EQ(host.Find<int>("a.b"), 2);
}

TEST(HostConfigTest, TellsWhatStandsAtAPath) {
  FakeHost fake(R"({"none":[],"empty":{},"n":3,"on":true,"text":"3"})");
  const Host host(fake.table());

  EXPECT_EQ(host.Look("none").kind, CATCHUP_CONFIG_LIST);
  EXPECT_EQ(host.Look("empty").kind, CATCHUP_CONFIG_TABLE);
  EXPECT_EQ(host.Look("n").kind, CATCHUP_CONFIG_NUMBER);
  EXPECT_EQ(host.Look("on").kind, CATCHUP_CONFIG_BOOLEAN);
  EXPECT_EQ(host.Look("text").kind, CATCHUP_CONFIG_TEXT);
  EXPECT_EQ(host.Look("text").text, "3");
  EXPECT_EQ(host.Look("absent").kind, CATCHUP_CONFIG_ABSENT);
}

TEST(HostConfigTest, AValueOfAnotherKindIsNotTakenForTheOneWanted) {
  FakeHost fake(R"({"n":3,"text":"3","word":"true","on":true,"none":[]})");
  const Host host(fake.table());

  EXPECT_EQ(FatalText([&] { host.Find<std::string>("n"); }),
            "config \"n\": found the number 3, wanted text");
  EXPECT_EQ(FatalText([&] { host.Find<std::string>("on"); }),
            "config \"on\": found the boolean true, wanted text");
  EXPECT_EQ(FatalText([&] { host.Find<std::string>("none"); }),
            "config \"none\": found a list, wanted text");
  EXPECT_EQ(FatalText([&] { host.Find<double>("text"); }),
            "config \"text\": found the text \"3\", wanted a number");
  EXPECT_EQ(FatalText([&] { host.Find<bool>("word"); }),
            "config \"word\": found the text \"true\", wanted true or false");
}

TEST(HostConfigTest, APathThatIsNoDottedKeyIsThePluginsMistake) {
  FakeHost fake("{}");
  const Host host(fake.table());

  EXPECT_EQ(FatalText([&] { host.Find<int>("a..b"); }),
            "config: found the path 'a..b' in the plugin's code, wanted a TOML dotted key, such as "
            "a.b or \"a.b\".c");
}

TEST(HostConfigTest, AnErrorNamesKeyFoundAndWanted) {
  FakeHost fake(R"({"t":{"x":1},"word":"abc","big":300,"empty":"","f":1.5})");
  const Host host(fake.table());

  EXPECT_EQ(FatalText([&] { host.config("t"); }),
            "config \"t\": found a table, wanted a text, a number or a boolean");
  EXPECT_EQ(FatalText([&] { host.Require<std::string>("absent"); }),
            "config \"absent\": found nothing, wanted text");
  EXPECT_EQ(FatalText([&] { host.Require<std::string>("empty"); }),
            "config \"empty\": found an empty text, wanted text");
  EXPECT_EQ(FatalText([&] { host.Get<std::uint8_t>("big", 0); }),
            "config \"big\": found the number 300, wanted a whole number from 0 to 255");
  EXPECT_EQ(
      FatalText([&] { host.Get("f", 1); }),
      "config \"f\": found the number 1.5, wanted a whole number from -2147483648 to 2147483647");
  EXPECT_EQ(FatalText([&] { host.Get("word", true); }),
            "config \"word\": found the text \"abc\", wanted true or false");
  EXPECT_EQ(FatalText([&] { host.Get("word", 1.0); }),
            "config \"word\": found the text \"abc\", wanted a number");
}

TEST(HostConfigTest, APathIsOneThatIsMeantToTheLetter) {
  FakeHost fake(R"({"home":"~me/x","spec":"%h/x","good":"a<b/100%","empty":"","n":3})");
  const Host host(fake.table());

  EXPECT_EQ(host.RequirePath("good"), "a<b/100%");
  EXPECT_EQ(FatalText([&] { host.RequirePath("home"); }),
            "config \"home\": found the text \"~me/x\", wanted a whole path, because only a shell "
            "replaces \"~\"");
  EXPECT_EQ(
      FatalText([&] { host.RequirePath("spec"); }),
      "config \"spec\": found the text \"%h/x\", wanted a whole path, because nothing is put in "
      "the place of \"%h\"");
  EXPECT_EQ(FatalText([&] { host.RequirePath("empty"); }),
            "config \"empty\": found an empty text, wanted text");
  EXPECT_EQ(FatalText([&] { host.RequirePath("n"); }),
            "config \"n\": found the number 3, wanted text");
}

TEST(HostConfigTest, AKeyNobodyKnowsIsRefused) {
  FakeHost fake(R"({"file":"x","snyc":false})");
  const Host host(fake.table());

  host.RequireOnly({"file", "snyc"});
  EXPECT_EQ(FatalText([&] {
              host.RequireOnly({"file", "sync"});
            }),
            "config \"snyc\": found a key this plugin does not know, wanted one of file, sync");
  FakeHost broken("[]");
  EXPECT_EQ(FatalText([&] { Host(broken.table()).RequireOnly({"file"}); }),
            "the configuration is not a JSON object: column 1: found '[', wanted an object");
}

TEST(HostConfigTest, AValueThatIsTooLongIsRefused) {
  FakeHost fake("{\"long\":\"" + std::string((1u << 20) + 1, 'x') + "\"}");
  EXPECT_EQ(
      FatalText([&] { Host(fake.table()).config("long"); }),
      "config \"long\": found what the host would not hand over, wanted at most 1048576 bytes");
}

// A host that is older than the SDK offers less: nulls, or a shorter table.
TEST(HostTest, AnOlderHostIsNeverCalledWhereItHasNothing) {
  FakeHost fake("{}");
  fake.table()->log = nullptr;
  fake.table()->struct_size = offsetof(catchup_host, stop_requested);
  const Host host(fake.table());

  host.Info("dropped");
  EXPECT_FALSE(host.stop_requested());
  EXPECT_EQ(host.GetExtension("x"), nullptr);
  EXPECT_EQ(FatalText([&] { host.config("a"); }),
            "this host has no config_get, which the plugin reads its configuration with");
}

TEST(HostTest, LogsAndSeesAStopRequest) {
  FakeHost fake("{}");
  const Host host(fake.table());
  host.Debug("d");
  host.Warn("w");
  EXPECT_FALSE(host.stop_requested());
  fake.stop_requested = true;

  EXPECT_TRUE(host.stop_requested());
  EXPECT_EQ(fake.log_lines, (std::vector<std::pair<std::int32_t, std::string>>{
                                {CATCHUP_LOG_DEBUG, "d"}, {CATCHUP_LOG_WARN, "w"}}));
}

}  // namespace
}  // namespace catchup::test
