#include "host/source/client/event_writer.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace catchup {
namespace {

constexpr std::int64_t kSince = 1000;

NewEvent MakeEvent(std::uint64_t number, std::string data = "{}") {
  NewEvent event;
  event.id = Uuid::FromHalves(1, number);
  event.type = "t";
  event.data = std::move(data);
  return event;
}

// Notes what is asked and answers when the test says so.
class ScriptedAppender final : public Appender {
 public:
  struct Asked {
    std::uint64_t number = 0;
    std::string stream;  // "end of NAME" and "head" for the questions.
    std::vector<std::uint64_t> events;
    ExpectedStream expected;
    std::uint64_t bytes = 0;
  };

  std::uint64_t Append(std::string_view stream, const ExpectedStream& expected,
                       std::span<const NewEvent* const> events) override {
    Asked asked{++numbers_, std::string(stream), {}, expected, 0};
    for (const NewEvent* event : events) {
      asked.events.push_back(event->id.least_significant());
      asked.bytes += event->size();
    }
    open.push_back(asked);
    return numbers_;
  }
  std::uint64_t ReadEnd(std::string_view stream, std::int64_t since) override {
    EXPECT_EQ(since, kSince);
    open.push_back({++numbers_, "end of " + std::string(stream), {}, {}, 0});
    return numbers_;
  }
  std::uint64_t ReadHead() override {
    open.push_back({++numbers_, "head", {}, {}, 0});
    return numbers_;
  }
  std::vector<AppendAnswer> Take() override { return std::exchange(answers_, {}); }
  int wake() const override { return -1; }
  std::optional<std::chrono::steady_clock::time_point> deadline() const override { return {}; }

  // Answers the oldest question that is open.
  void Answer(AppendAnswer answer) {
    ASSERT_FALSE(open.empty());
    AnswerAt(0, std::move(answer));
  }
  void AnswerAt(std::size_t at, AppendAnswer answer) {
    answer.number = open.at(at).number;
    open.erase(open.begin() + static_cast<std::ptrdiff_t>(at));
    answers_.push_back(std::move(answer));
  }
  void Written(std::uint64_t revision, std::uint64_t position) {
    AppendAnswer answer;
    answer.revision = revision;
    answer.position = Position{position, position};
    Answer(answer);
  }
  void Conflict(std::optional<std::uint64_t> current) {
    AppendAnswer answer;
    answer.status = Status::Invalid("WrongExpectedVersion");
    answer.conflict = true;
    answer.revision = current;
    Answer(answer);
  }
  void End(std::optional<std::uint64_t> revision, const std::vector<std::uint64_t>& ids) {
    AppendAnswer answer;
    answer.revision = revision;
    for (const std::uint64_t id : ids) {
      answer.ids.push_back(Uuid::FromHalves(1, id));
    }
    Answer(answer);
  }

  std::vector<Asked> open;  // Not answered yet.

 private:
  std::uint64_t numbers_ = 0;
  std::vector<AppendAnswer> answers_;
};

class EventWriterTest : public testing::Test {
 protected:
  // Takes events of one stream each line, from line 1, with the line as the id.
  void Add(const std::vector<std::string>& streams, bool given_id = false) {
    for (const std::string& stream : streams) {
      ++line_;
      writer_.Add(stream, MakeEvent(line_), line_, given_id);
    }
    writer_.Send();
  }
  Status Step() {
    const Status status = writer_.TakeAnswers();
    writer_.Send();
    return status;
  }
  // "STREAM IDS…" of what is open.
  std::vector<std::string> Open() const {
    std::vector<std::string> open;
    for (const auto& asked : appender_.open) {
      std::string text = asked.stream;
      for (const std::uint64_t event : asked.events) {
        text += " " + std::to_string(event);
      }
      open.push_back(text);
    }
    return open;
  }

  using Strings = std::vector<std::string>;
  ScriptedAppender appender_;
  EventWriter writer_{&appender_, {}};
  std::uint64_t line_ = 0;
};

// What stands behind an event that must wait waits too, so that the log is in file order.
TEST_F(EventWriterTest, HasOneAppendAStreamOnItsWayAndSeveralStreams) {
  Add({"a", "a", "b"});
  EXPECT_EQ(Open(), (Strings{"a 1 2", "b 3"}));
  Add({"a", "c", "a"});
  EXPECT_EQ(Open(), (Strings{"a 1 2", "b 3"}));

  appender_.Written(1, 10);
  ASSERT_TRUE(Step().ok());
  EXPECT_EQ(Open(), (Strings{"b 3", "a 4", "c 5"}));
  EXPECT_EQ(writer_.written(), 2u);
}

TEST_F(EventWriterTest, KnowsTheFirstLineThatIsNotConfirmed) {
  Add({"a", "b", "c"});
  EXPECT_EQ(writer_.first_open_line(), 1u);
  appender_.AnswerAt(1, {});
  ASSERT_TRUE(Step().ok());
  EXPECT_EQ(writer_.first_open_line(), 1u);
  appender_.AnswerAt(0, {});
  ASSERT_TRUE(Step().ok());
  EXPECT_EQ(writer_.first_open_line(), 3u);
  EXPECT_FALSE(writer_.idle());
  appender_.AnswerAt(0, {});
  ASSERT_TRUE(Step().ok());
  EXPECT_EQ(writer_.first_open_line(), std::nullopt);
  EXPECT_TRUE(writer_.idle());
  EXPECT_EQ(writer_.written(), 3u);
}

TEST_F(EventWriterTest, KeepsToAThousandEventsAnAppend) {
  for (std::uint64_t line = 1; line <= 2001; ++line) {
    writer_.Add("a", MakeEvent(line), line, false);
  }
  writer_.Send();
  std::vector<std::size_t> sizes;
  while (!writer_.idle()) {
    sizes.push_back(appender_.open.front().events.size());
    appender_.Written(sizes.size(), sizes.size());
    ASSERT_TRUE(Step().ok());
  }
  EXPECT_EQ(sizes, (std::vector<std::size_t>{1000, 1000, 1}));
}

TEST_F(EventWriterTest, StaysBelowOneMebibyteUnlessOneEventIsLarger) {
  std::uint64_t line = 0;
  for (const std::size_t size : {600'000u, 600'000u, 2u << 20, 2u}) {
    ++line;
    writer_.Add("a", MakeEvent(line, std::string(size, 'x')), line, false);
  }
  writer_.Send();
  std::vector<std::uint64_t> sizes;
  while (!writer_.idle()) {
    sizes.push_back(appender_.open.front().events.size());
    EXPECT_TRUE(appender_.open.front().bytes < 1u << 20 || sizes.back() == 1);
    appender_.Written(sizes.size(), sizes.size());
    ASSERT_TRUE(Step().ok());
  }
  EXPECT_EQ(sizes, (std::vector<std::uint64_t>{1, 1, 1, 1}));
}

// A server that takes no message of its size ends the call, and with it the answers that were due.
TEST_F(EventWriterTest, SendsAnEventLargerThanABatchOnceNoOtherAppendIsOnItsWay) {
  writer_.Add("a", MakeEvent(1), 1, false);
  writer_.Add("b", MakeEvent(2, std::string(2u << 20, 'x')), 2, false);
  writer_.Send();
  EXPECT_EQ(Open(), (Strings{"a 1"}));
  appender_.Written(0, 100);
  ASSERT_TRUE(Step().ok());
  EXPECT_EQ(Open(), (Strings{"b 2"}));
}

TEST_F(EventWriterTest, BoundsWhatIsOnItsWayAndWhatIsTaken) {
  std::uint64_t line = 0;
  while (writer_.HasRoom()) {
    ++line;
    writer_.Add("s" + std::to_string(line), MakeEvent(line, std::string(10'000, 'x')), line, false);
    writer_.Send();
  }
  EXPECT_EQ(appender_.open.size(), EventWriter::kMaxInFlight);
  EXPECT_LT(line * 10'000, EventWriter::kMaxTakenBytes + 20'000);
}

TEST_F(EventWriterTest, SendsNothingAfterAFailureAndCountsWhatIsStillConfirmed) {
  Add({"a", "b", "a"});
  AppendAnswer gone;
  gone.status = Status::Unavailable("gone");
  appender_.AnswerAt(0, gone);
  EXPECT_EQ(Step().message(), "gone");
  EXPECT_EQ(Open(), Strings{"b 2"});
  EXPECT_FALSE(writer_.HasRoom());
  EXPECT_FALSE(writer_.idle());

  appender_.Written(0, 10);
  EXPECT_EQ(Step().message(), "gone");
  EXPECT_TRUE(writer_.idle());
  EXPECT_EQ(writer_.written(), 1u);
  EXPECT_EQ(writer_.first_open_line(), 1u);
}

// ---- Ids that the file gives ----

// Only then can an event be in the log before its run, and only then is the head asked for.
TEST_F(EventWriterTest, CountsWhatTheServerRecognised) {
  Add({"a", "a"}, true);
  EXPECT_EQ(Open(), Strings{"head"});
  AppendAnswer head;
  head.position = Position{100, 100};
  appender_.Answer(head);
  ASSERT_TRUE(Step().ok());
  EXPECT_EQ(Open(), Strings{"a 1 2"});

  appender_.Written(1, 100);  // Where it was all the time.
  ASSERT_TRUE(Step().ok());
  EXPECT_EQ(writer_.already_there(), 2u);
  Add({"a"}, true);
  appender_.Written(2, 101);
  ASSERT_TRUE(Step().ok());
  EXPECT_EQ(writer_.written(), 1u);
  Add({"a"}, true);
  appender_.Answer({});  // A repetition need not tell where.
  ASSERT_TRUE(Step().ok());
  EXPECT_EQ(writer_.already_there(), 3u);
}

TEST_F(EventWriterTest, AHeadThatMayNotBeReadCostsOnlyTheCount) {
  Add({"a"}, true);
  AppendAnswer denied;
  denied.status = Status::Denied("no");
  appender_.Answer(denied);
  ASSERT_TRUE(Step().ok());
  appender_.Written(0, 10);
  ASSERT_TRUE(Step().ok());
  EXPECT_EQ(writer_.written(), 1u);
}

TEST_F(EventWriterTest, AnIdTwiceGoesInTwoAppends) {
  writer_.Add("a", MakeEvent(1), 1, true);
  writer_.Add("a", MakeEvent(1), 2, true);
  writer_.Send();
  appender_.Answer({});
  ASSERT_TRUE(Step().ok());
  EXPECT_EQ(Open(), Strings{"a 1"});
  appender_.Written(0, 10);
  ASSERT_TRUE(Step().ok());
  EXPECT_EQ(Open(), Strings{"a 1"});
  appender_.Written(0, 10);
  ASSERT_TRUE(Step().ok());
  EXPECT_EQ(writer_.written(), 1u);
  EXPECT_EQ(writer_.already_there(), 1u);
}

// A server takes an append of which it knows a part as a conflict.
TEST_F(EventWriterTest, AfterAConflictEachEventGoesAlone) {
  Add({"a", "a", "a"}, true);
  AppendAnswer head;
  head.position = Position{100, 100};
  appender_.Answer(head);
  ASSERT_TRUE(Step().ok());
  appender_.Conflict(0);
  ASSERT_TRUE(Step().ok());
  Add({"a", "a"});
  EXPECT_EQ(Open(), Strings{"a 1"});
  appender_.Written(0, 50);
  ASSERT_TRUE(Step().ok());
  EXPECT_EQ(Open(), Strings{"a 2"});
  appender_.Written(1, 101);
  ASSERT_TRUE(Step().ok());
  EXPECT_EQ(Open(), Strings{"a 3"});
  appender_.Written(2, 102);
  ASSERT_TRUE(Step().ok());
  EXPECT_EQ(Open(), Strings{"a 4 5"});
  EXPECT_EQ(writer_.already_there(), 1u);
  EXPECT_EQ(writer_.written(), 2u);
}

// ---- Going on with an earlier run ----

class ResumeTest : public EventWriterTest {
 protected:
  void Add(const std::vector<std::string>& streams) {
    for (const std::string& stream : streams) {
      ++line_;
      resumed_.Add(stream, MakeEvent(line_), line_, false);
    }
    resumed_.Send();
  }
  Status Step() {
    const Status status = resumed_.TakeAnswers();
    resumed_.Send();
    return status;
  }

  EventWriter resumed_{&appender_, {.resume_since = kSince}};
};

TEST_F(ResumeTest, SkipsWhatIsAtTheEndOfEachStreamAndNamesWhatItFollows) {
  Add({"a", "b", "a"});
  EXPECT_EQ(Open(), (Strings{"end of a", "end of b"}));
  appender_.End(7, {1, 90});
  appender_.End(std::nullopt, {});
  ASSERT_TRUE(Step().ok());
  EXPECT_EQ(Open(), (Strings{"b 2", "a 3"}));
  EXPECT_EQ(appender_.open[0].expected, (ExpectedStream{ExpectedStream::Kind::kNone, 0}));
  EXPECT_EQ(appender_.open[1].expected, (ExpectedStream{ExpectedStream::Kind::kRevision, 7}));
  appender_.Written(0, 10);
  appender_.Written(8, 11);
  ASSERT_TRUE(Step().ok());
  EXPECT_EQ(resumed_.already_there(), 1u);
  EXPECT_EQ(resumed_.written(), 2u);

  Add({"a"});
  EXPECT_EQ(Open(), Strings{"a 4"});
  EXPECT_EQ(appender_.open[0].expected, (ExpectedStream{ExpectedStream::Kind::kRevision, 8}));
}

TEST_F(ResumeTest, AStreamOfWhichAllIsThereNeedsNoAppend) {
  Add({"a", "a"});
  appender_.End(1, {2, 1});
  ASSERT_TRUE(Step().ok());
  EXPECT_TRUE(resumed_.idle());
  EXPECT_EQ(resumed_.already_there(), 2u);
  EXPECT_EQ(resumed_.first_open_line(), std::nullopt);
}

// The earlier run's last append came after all, behind the look at the stream's end.
TEST_F(ResumeTest, LooksAgainWhenTheStreamHasGrown) {
  Add({"a", "a"});
  appender_.End(7, {});
  ASSERT_TRUE(Step().ok());
  appender_.Conflict(8);
  ASSERT_TRUE(Step().ok());
  EXPECT_EQ(Open(), Strings{"end of a"});
  appender_.End(8, {1});
  ASSERT_TRUE(Step().ok());
  EXPECT_EQ(Open(), Strings{"a 2"});
  EXPECT_EQ(appender_.open[0].expected, (ExpectedStream{ExpectedStream::Kind::kRevision, 8}));
}

// Its events may all have expired: the conflict still tells how far the stream is.
TEST_F(ResumeTest, BelievesTheConflictWhereNoEventIsToBeSeen) {
  Add({"a"});
  appender_.End(std::nullopt, {});
  ASSERT_TRUE(Step().ok());
  appender_.Conflict(41);
  ASSERT_TRUE(Step().ok());
  appender_.End(std::nullopt, {});
  ASSERT_TRUE(Step().ok());
  EXPECT_EQ(appender_.open[0].expected, (ExpectedStream{ExpectedStream::Kind::kRevision, 41}));
}

// Others write to the stream all the time: it does not insist for ever.
TEST_F(ResumeTest, GivesInToOtherWriters) {
  Add({"a"});
  std::uint64_t revision = 7;
  appender_.End(revision, {});
  ASSERT_TRUE(Step().ok());
  while (appender_.open.at(0).expected.kind == ExpectedStream::Kind::kRevision) {
    appender_.Conflict(++revision);
    ASSERT_TRUE(Step().ok());
    appender_.End(revision, {});
    ASSERT_TRUE(Step().ok());
    ASSERT_LT(revision, 100u);
  }
  EXPECT_EQ(appender_.open[0].expected.kind, ExpectedStream::Kind::kAny);
}

// Such an event may be there since long before the run: the server is asked, as in a fresh one.
TEST_F(ResumeTest, AnIdOfTheFilesOwnIsLeftToTheServer) {
  resumed_.Add("a", MakeEvent(1), 1, true);
  resumed_.Add("a", MakeEvent(2), 2, true);
  resumed_.Send();
  appender_.End(7, {});
  ASSERT_TRUE(Step().ok());
  EXPECT_EQ(appender_.open.at(0).expected.kind, ExpectedStream::Kind::kAny);
  appender_.Conflict(7);
  ASSERT_TRUE(Step().ok());
  EXPECT_EQ(Open(), Strings{"a 1"});
  appender_.Written(3, 40);
  ASSERT_TRUE(Step().ok());
  appender_.Written(8, 100);
  ASSERT_TRUE(Step().ok());
  EXPECT_EQ(resumed_.already_there(), 1u);
  EXPECT_EQ(resumed_.written(), 1u);
}

TEST_F(ResumeTest, AnEndThatCannotBeReadIsAFailure) {
  Add({"a"});
  AppendAnswer denied;
  denied.status = Status::Denied("no");
  appender_.Answer(denied);
  EXPECT_EQ(Step().message(), "no");
  EXPECT_TRUE(resumed_.idle());
  EXPECT_EQ(resumed_.first_open_line(), 1u);
}

}  // namespace
}  // namespace catchup
