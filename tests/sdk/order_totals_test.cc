#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sqlite3.h>
#include <sys/wait.h>
#include <unistd.h>

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "tests/sdk/plugin_harness.h"

namespace catchup::test {
namespace {

using testing::HasSubstr;

using Totals = std::map<std::string, std::pair<std::int64_t, std::int64_t>>;

TestEvent Placed(const std::string& order, const std::string& customer, std::int64_t cents) {
  return {.type = "order-placed",
          .data = "{\"orderId\":\"" + order + "\",\"customerId\":\"" + customer +
                  "\",\"amountCents\":" + std::to_string(cents) + "}"};
}

TestEvent Cancelled(const std::string& order) {
  return {.type = "order-cancelled", .data = "{\"orderId\":\"" + order + "\"}"};
}

class OrderTotalsTest : public ::testing::Test {
 protected:
  static const catchup_projection* Projection() { return LoadProjection(ORDER_TOTALS_PLUGIN); }

  // A started instance whose position is loaded with `token`.
  std::unique_ptr<Instance> Started(std::uint64_t token) {
    auto instance = std::make_unique<Instance>(Projection(), &host_);
    EXPECT_EQ(instance->Create(), CATCHUP_OK) << host_.TakeError();
    EXPECT_EQ(instance->Start(), CATCHUP_OK) << host_.TakeError();
    EXPECT_EQ(Load(*instance, token), CATCHUP_OK) << host_.TakeError();
    return instance;
  }

  std::int32_t Load(Instance& instance, std::uint64_t token) {
    return instance.keeper()->load_position(instance.self(), token, &loaded_);
  }

  std::int32_t At(Instance& instance, const std::vector<TestEvent>& events,
                  std::optional<std::uint64_t> previous, std::uint64_t position,
                  std::uint64_t token) {
    const RawEvents raw(events);
    const catchup_position before{previous.value_or(0), previous.value_or(0)};
    const catchup_position after{position, position};
    return instance.keeper()->handle_at(instance.self(), raw.data(), raw.size(),
                                        previous ? &before : nullptr, &after, token);
  }

  sqlite3* Open() {
    sqlite3* database = nullptr;
    EXPECT_EQ(sqlite3_open(file_.c_str(), &database), SQLITE_OK);
    return database;
  }

  Totals ReadTotals() {
    Totals totals;
    sqlite3* const database = Open();
    sqlite3_stmt* statement = nullptr;
    EXPECT_EQ(sqlite3_prepare_v2(database, "SELECT customer_id, orders, cents FROM order_totals",
                                 -1, &statement, nullptr),
              SQLITE_OK);
    while (sqlite3_step(statement) == SQLITE_ROW) {
      totals[reinterpret_cast<const char*>(sqlite3_column_text(statement, 0))] = {
          sqlite3_column_int64(statement, 1), sqlite3_column_int64(statement, 2)};
    }
    sqlite3_finalize(statement);
    sqlite3_close(database);
    return totals;
  }

  TemporaryFolder folder_;
  std::string file_ = folder_ / "totals.db";
  FakeHost host_{"{\"database\":\"" + file_ + "\"}", "orders"};
  catchup_loaded_position loaded_{};
};

TEST_F(OrderTotalsTest, AddsOrdersAndSubtractsCancelledOnes) {
  auto instance = Started(1);
  EXPECT_EQ(loaded_.present, 0);

  ASSERT_EQ(At(*instance,
               {Placed("1", "ann", 100),
                Placed("2", "bob", 250),
                Placed("3", "ann", 50),
                Cancelled("1"),
                {.type = "order-shipped", .data = "not JSON"}},
               std::nullopt, 10, 1),
            CATCHUP_OK);

  EXPECT_EQ(ReadTotals(), (Totals{{"ann", {1, 50}}, {"bob", {1, 250}}}));
}

TEST_F(OrderTotalsTest, AnOrderThatComesTwiceCountsOnce) {
  auto instance = Started(1);
  ASSERT_EQ(At(*instance,
               {Placed("1", "ann", 100), Placed("1", "ann", 100), Placed("2", "ann", 5),
                Cancelled("2"), Cancelled("2"), Placed("2", "ann", 5), Cancelled("9")},
               std::nullopt, 10, 1),
            CATCHUP_OK);

  EXPECT_EQ(ReadTotals(), (Totals{{"ann", {1, 100}}}));
}

TEST_F(OrderTotalsTest, AnotherOrderUnderAnOldIdIsRejected) {
  auto instance = Started(1);
  ASSERT_EQ(At(*instance, {Placed("1", "ann", 100)}, std::nullopt, 1, 1), CATCHUP_OK);

  EXPECT_EQ(At(*instance, {Placed("1", "bob", 100)}, 1, 2, 1), CATCHUP_REJECT);
  EXPECT_EQ(At(*instance, {Placed("1", "ann", 101)}, 1, 2, 1), CATCHUP_REJECT);
  EXPECT_EQ(host_.TakeError(),
            "order-placed: found an order of this id with another customer or amount, wanted a new "
            "id");
}

TEST_F(OrderTotalsTest, ARejectedEventTakesItsWholeCallBack) {
  auto instance = Started(1);
  ASSERT_EQ(At(*instance, {Placed("1", "ann", 1)}, std::nullopt, 1, 1), CATCHUP_OK);

  EXPECT_EQ(At(*instance, {Placed("2", "ann", 1), {.type = "order-placed", .data = "{}"}}, 1, 3, 1),
            CATCHUP_REJECT);

  EXPECT_EQ(ReadTotals(), (Totals{{"ann", {1, 1}}}));
  // One by one, as the host passes them then; the rejected one's position is passed alone.
  EXPECT_EQ(At(*instance, {Placed("2", "ann", 1)}, 1, 2, 1), CATCHUP_OK);
  EXPECT_EQ(At(*instance, {}, 2, 3, 1), CATCHUP_OK);
  EXPECT_EQ(ReadTotals(), (Totals{{"ann", {2, 2}}}));
}

TEST_F(OrderTotalsTest, APayloadOfAnotherFormIsRejectedWithoutRepeatingIt) {
  auto instance = Started(1);
  const auto text_of = [&](const std::string& type, const std::string& data) {
    EXPECT_EQ(At(*instance, {{.type = type, .data = data}}, std::nullopt, 1, 1), CATCHUP_REJECT)
        << data;
    return host_.TakeError();
  };
  EXPECT_EQ(text_of("order-placed", "secret"), "order-placed: the data is not a JSON object");
  EXPECT_EQ(text_of("order-placed", "[]"), "order-placed: the data is not a JSON object");
  EXPECT_EQ(text_of("order-cancelled", "{}"),
            "order-cancelled: \"orderId\": found nothing, wanted a text of at least one character");
  EXPECT_EQ(text_of("order-placed", R"({"orderId":"1","customerId":"","amountCents":1})"),
            "order-placed: \"customerId\": found an empty text, wanted a text of at least one "
            "character");
  const std::string wanted = ", wanted a whole number of cents from 0 to 1000000000000";
  const std::string start = R"({"orderId":"1","customerId":"ann","amountCents":)";
  for (const char* amount : {"-1", "1.5", "1e3", "1000000000001", "99999999999999999999"}) {
    EXPECT_EQ(text_of("order-placed", start + amount + "}"),
              "order-placed: \"amountCents\": found a number" + wanted);
  }
  EXPECT_EQ(text_of("order-placed", start + "\"secret\"}"),
            "order-placed: \"amountCents\": found a text" + wanted);
  EXPECT_EQ(text_of("order-placed", start + "null}"),
            "order-placed: \"amountCents\": found null" + wanted);
}

TEST_F(OrderTotalsTest, AnIdMayBeANumber) {
  auto instance = Started(1);
  ASSERT_EQ(At(*instance,
               {{.type = "order-placed", .data = R"({"orderId":7,"customerId":8,"amountCents":9})"},
                Cancelled("7")},
               std::nullopt, 1, 1),
            CATCHUP_OK);
  EXPECT_EQ(ReadTotals(), (Totals{{"8", {0, 0}}}));
}

// ---- Position and token ----

TEST_F(OrderTotalsTest, GoesOnFromItsOwnPositionAfterARestart) {
  {
    auto instance = Started(1);
    ASSERT_EQ(At(*instance, {Placed("1", "ann", 1)}, std::nullopt, 7, 1), CATCHUP_OK);
  }
  auto instance = Started(2);

  EXPECT_EQ(loaded_.present, 1);
  EXPECT_EQ(loaded_.position.commit, 7u);
  EXPECT_EQ(loaded_.position.prepare, 7u);
  EXPECT_EQ(At(*instance, {Placed("2", "ann", 1)}, 7, 8, 2), CATCHUP_OK);
}

TEST_F(OrderTotalsTest, KeepsAPositionOfFullWidth) {
  auto instance = Started(1);
  const std::uint64_t high = 0xFFFFFFFFFFFFFFFE;
  ASSERT_EQ(At(*instance, {}, std::nullopt, high, 1), CATCHUP_OK);

  ASSERT_EQ(Load(*instance, 1), CATCHUP_OK);
  EXPECT_EQ(loaded_.position.commit, high);
  EXPECT_EQ(At(*instance, {}, high, high - 1, 1), CATCHUP_OK);
}

TEST_F(OrderTotalsTest, AStaleTokenIsFencedAndChangesNothing) {
  auto old = Started(1);
  auto newer = Started(57);

  EXPECT_EQ(At(*old, {Placed("1", "ann", 1)}, std::nullopt, 5, 1), CATCHUP_FATAL);
  EXPECT_EQ(host_.TakeError(), "fenced: token 57 seen, ours 1");
  EXPECT_EQ(Load(*old, 1), CATCHUP_FATAL);
  EXPECT_EQ(host_.TakeError(), "fenced: token 57 seen, ours 1");
  EXPECT_EQ(old->keeper()->set_position(old->self(), nullptr, 1), CATCHUP_FATAL);
  EXPECT_EQ(ReadTotals(), Totals{});
  EXPECT_EQ(At(*newer, {Placed("1", "ann", 1)}, std::nullopt, 5, 57), CATCHUP_OK);
}

TEST_F(OrderTotalsTest, ALostReplyIsOkWithoutASecondEffect) {
  auto instance = Started(1);
  const std::vector<TestEvent> events = {Placed("1", "ann", 100), Placed("2", "ann", 1)};
  ASSERT_EQ(At(*instance, events, std::nullopt, 5, 1), CATCHUP_OK);
  EXPECT_EQ(At(*instance, events, std::nullopt, 5, 1), CATCHUP_OK);
  ASSERT_EQ(At(*instance, {Cancelled("2")}, 5, 6, 1), CATCHUP_OK);
  // Orders under new ids would count if they were applied.
  EXPECT_EQ(At(*instance, {Placed("3", "ann", 1)}, 5, 6, 1), CATCHUP_OK);

  EXPECT_EQ(ReadTotals(), (Totals{{"ann", {1, 100}}}));
}

// As the host passes them once their call as a whole has failed.
TEST_F(OrderTotalsTest, ALostReplyOfSeveralEventsIsOkForEachOfThem) {
  auto instance = Started(1);
  ASSERT_EQ(At(*instance, {}, std::nullopt, 2, 1), CATCHUP_OK);
  const TestEvent one = Placed("1", "ann", 100);
  const TestEvent two = Placed("2", "ann", 1);
  ASSERT_EQ(At(*instance, {one, two}, 2, 5, 1), CATCHUP_OK);

  EXPECT_EQ(At(*instance, {one}, 2, 4, 1), CATCHUP_OK) << host_.TakeError();
  EXPECT_EQ(At(*instance, {two}, 4, 5, 1), CATCHUP_OK) << host_.TakeError();
  EXPECT_EQ(At(*instance, {Placed("3", "ann", 1)}, 5, 6, 1), CATCHUP_OK) << host_.TakeError();

  EXPECT_EQ(ReadTotals(), (Totals{{"ann", {3, 102}}}));
}

TEST_F(OrderTotalsTest, AThirdPositionIsFatal) {
  auto instance = Started(1);
  ASSERT_EQ(At(*instance, {}, std::nullopt, 5, 1), CATCHUP_OK);

  EXPECT_EQ(At(*instance, {Placed("1", "ann", 1)}, 4, 6, 1), CATCHUP_FATAL);
  EXPECT_EQ(host_.TakeError(), "found the stored position 5:5, wanted 4:4 before moving to 6:6");
  EXPECT_EQ(At(*instance, {Placed("1", "ann", 1)}, std::nullopt, 6, 1), CATCHUP_FATAL);
  EXPECT_EQ(ReadTotals(), Totals{});
}

// A retried letter lies before the position, which therefore stays.
TEST_F(OrderTotalsTest, ARetriedLetterIsAppliedWhereThePositionIs) {
  auto instance = Started(1);
  ASSERT_EQ(At(*instance, {}, std::nullopt, 5, 1), CATCHUP_OK);

  EXPECT_EQ(At(*instance, {Placed("1", "ann", 1)}, 5, 5, 1), CATCHUP_OK);

  EXPECT_EQ(ReadTotals(), (Totals{{"ann", {1, 1}}}));
}

TEST_F(OrderTotalsTest, APositionMovesWithoutEvents) {
  auto instance = Started(1);

  EXPECT_EQ(At(*instance, {}, std::nullopt, 5, 1), CATCHUP_OK);
  EXPECT_EQ(At(*instance, {}, 5, 9, 1), CATCHUP_OK);

  ASSERT_EQ(Load(*instance, 1), CATCHUP_OK);
  EXPECT_EQ(loaded_.position.commit, 9u);
}

TEST_F(OrderTotalsTest, AResetStoresOrRemovesThePosition) {
  auto instance = Started(1);
  ASSERT_EQ(At(*instance, {}, std::nullopt, 5, 1), CATCHUP_OK);
  const catchup_position back{2, 1};

  ASSERT_EQ(instance->keeper()->set_position(instance->self(), &back, 1), CATCHUP_OK);
  ASSERT_EQ(Load(*instance, 1), CATCHUP_OK);
  EXPECT_EQ(loaded_.position.commit, 2u);
  EXPECT_EQ(loaded_.position.prepare, 1u);

  ASSERT_EQ(instance->keeper()->set_position(instance->self(), nullptr, 1), CATCHUP_OK);
  ASSERT_EQ(Load(*instance, 1), CATCHUP_OK);
  EXPECT_EQ(loaded_.present, 0);
  EXPECT_EQ(At(*instance, {}, std::nullopt, 3, 1), CATCHUP_OK);
}

// ---- Trouble ----

TEST_F(OrderTotalsTest, ALockedFileIsRetriedAndThenExact) {
  auto instance = Started(1);
  sqlite3* const other = Open();
  ASSERT_EQ(sqlite3_exec(other, "BEGIN IMMEDIATE", nullptr, nullptr, nullptr), SQLITE_OK);

  EXPECT_EQ(At(*instance, {Placed("1", "ann", 1)}, std::nullopt, 5, 1), CATCHUP_RETRY);
  EXPECT_THAT(host_.TakeError(), HasSubstr("totals.db: database is locked"));
  sqlite3_close(other);

  EXPECT_EQ(At(*instance, {Placed("1", "ann", 1)}, std::nullopt, 5, 1), CATCHUP_OK);
  EXPECT_EQ(ReadTotals(), (Totals{{"ann", {1, 1}}}));
}

// What is committed into a file without a name would be gone with the process.
TEST_F(OrderTotalsTest, AFileThatIsRemovedOrReplacedWhileInUseIsRetriedUntilItIsBack) {
  const auto instance = Started(1);
  ASSERT_EQ(At(*instance, {Placed("1", "ann", 100)}, std::nullopt, 5, 1), CATCHUP_OK);

  std::filesystem::rename(file_, file_ + ".away");
  EXPECT_EQ(At(*instance, {Placed("2", "ann", 10)}, 5, 6, 1), CATCHUP_RETRY);
  EXPECT_EQ(host_.TakeError(),
            file_ +
                ": the file was removed or replaced while it was in use; put it back, or restart "
                "the host to go on with what has its name, from the position in it");
  WriteFile(file_, "");
  EXPECT_EQ(At(*instance, {Placed("2", "ann", 10)}, 5, 6, 1), CATCHUP_RETRY);

  std::filesystem::rename(file_ + ".away", file_);
  EXPECT_EQ(At(*instance, {Placed("2", "ann", 10)}, 5, 6, 1), CATCHUP_OK);
  EXPECT_EQ(ReadTotals(), (Totals{{"ann", {2, 110}}}));
}

TEST_F(OrderTotalsTest, AFileThatIsNoDatabaseIsFatal) {
  WriteFile(file_, std::string(8192, 'x'));
  Instance instance(Projection(), &host_);
  ASSERT_EQ(instance.Create(), CATCHUP_OK);

  EXPECT_EQ(instance.Start(), CATCHUP_FATAL);
  EXPECT_THAT(host_.TakeError(), HasSubstr("file is not a database"));
}

TEST_F(OrderTotalsTest, RefusesAConfigurationItDoesNotUnderstand) {
  FakeHost none("{}");
  Instance without(Projection(), &none);
  EXPECT_EQ(without.Create(), CATCHUP_FATAL);
  EXPECT_EQ(none.TakeError(), "config \"database\": found nothing, wanted text");
  FakeHost shell(R"({"database":"{{dir}}/x"})");
  Instance elsewhere(Projection(), &shell);
  EXPECT_EQ(elsewhere.Create(), CATCHUP_FATAL);
  EXPECT_EQ(
      shell.TakeError(),
      "config \"database\": found the text \"{{dir}}/x\", wanted a whole path, because nothing "
      "is put in the place of \"{{dir}}\"");
  FakeHost more(R"({"database":"x","datbase":"y"})");
  Instance unknown(Projection(), &more);
  EXPECT_EQ(unknown.Create(), CATCHUP_FATAL);
}

TEST_F(OrderTotalsTest, MayBeStoppedAndStartedAgain) {
  auto instance = Started(1);
  instance->Stop();
  ASSERT_EQ(instance->Start(), CATCHUP_OK);
  ASSERT_EQ(Load(*instance, 1), CATCHUP_OK);

  EXPECT_EQ(At(*instance, {Placed("1", "ann", 1)}, std::nullopt, 5, 1), CATCHUP_OK);
}

TEST_F(OrderTotalsTest, TheCallWithoutAPositionGivesTheSameTotals) {
  Instance instance(Projection(), &host_);
  ASSERT_EQ(instance.Create(), CATCHUP_OK);
  ASSERT_EQ(instance.Start(), CATCHUP_OK);
  for (int time = 0; time < 2; ++time) {
    EXPECT_EQ(instance.Handle(Placed("1", "ann", 3)), CATCHUP_OK);
  }

  EXPECT_EQ(ReadTotals(), (Totals{{"ann", {1, 3}}}));
}

// The events of call n, and where they lead: order n counts n cents, and every third is cancelled
// one call later.
std::vector<TestEvent> EventsOf(std::uint64_t n) {
  std::vector<TestEvent> events = {
      Placed(std::to_string(n), "c" + std::to_string(n % 5), static_cast<std::int64_t>(n))};
  if (n % 3 == 1 && n > 1) events.push_back(Cancelled(std::to_string(n - 1)));
  return events;
}

Totals TotalsAfter(std::uint64_t calls) {
  Totals totals;
  const auto add = [&](std::uint64_t n, int sign) {
    auto& [orders, cents] = totals["c" + std::to_string(n % 5)];
    orders += sign;
    cents += sign * static_cast<std::int64_t>(n);
  };
  for (std::uint64_t n = 1; n <= calls; ++n) {
    add(n, 1);
    if (n % 3 == 1 && n > 1) add(n - 1, -1);
  }
  return totals;
}

// Effects and position are one: whenever the process dies, the tables are those of the position.
TEST_F(OrderTotalsTest, TablesAndPositionAgreeWhereverAKillFalls) {
  std::uint64_t done = 0;
  for (std::uint64_t token = 1; token <= 10; ++token) {
    int progress[2];
    ASSERT_EQ(::pipe2(progress, O_CLOEXEC), 0);
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      auto instance = Started(token);
      std::optional<std::uint64_t> previous;
      if (loaded_.present != 0) previous = loaded_.position.commit;
      for (;;) {
        const std::uint64_t next = previous.value_or(0) + 1;
        if (At(*instance, EventsOf(next), previous, next, token) != CATCHUP_OK) ::_exit(1);
        previous = next;
        if (::write(progress[1], "x", 1) != 1) ::_exit(2);
      }
    }
    ::close(progress[1]);
    // Die somewhere in the calls after some number of them that differs each time.
    for (std::uint64_t calls = 0; calls < 10 + token * 7; ++calls) {
      char byte;
      ASSERT_EQ(::read(progress[0], &byte, 1), 1);
    }
    ASSERT_EQ(::kill(child, SIGKILL), 0);
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status));
    ::close(progress[0]);

    auto instance = Started(token);
    ASSERT_EQ(loaded_.present, 1);
    EXPECT_GE(loaded_.position.commit, done + 10 + token * 7);
    done = loaded_.position.commit;
    EXPECT_EQ(ReadTotals(), TotalsAfter(done)) << "at " << done;
  }
}

}  // namespace
}  // namespace catchup::test
