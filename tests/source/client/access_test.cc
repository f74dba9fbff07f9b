// The client at a node that asks who calls, before a real log (protocol notes 4.1, 4.2).
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>

#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "host/base/uuid.h"
#include "host/source/client/appender.h"
#include "host/source/client/kurrent_source.h"
#include "host/source/embedded/log_server.h"
#include "tests/source/client/frames.h"
#include "tests/source/client/raw_server.h"
#include "tests/source/client/recording_sink.h"
#include "tests/source/cluster/front.h"
#include "tests/source/cluster/users.h"
#include "tests/test_files.h"

namespace catchup {
namespace {

using testing::HasSubstr;

// "reader:right" and "writer:right" in Base64.
constexpr char kReader[] = "Basic cmVhZGVyOnJpZ2h0";
constexpr char kWriter[] = "Basic d3JpdGVyOnJpZ2h0";
constexpr char kWrong[] = "Basic cmVhZGVyOndyb25n";

class AccessTest : public testing::Test {
 protected:
  AccessTest() {
    embedded::ServerOptions options;
    options.directory = folder_.path();
    log_ = *embedded::EmbeddedServer::Start(options);
    EXPECT_TRUE(log_->Seed("s", "x", "{}").ok());
    front_ = std::make_unique<Front>(log_->address());
    front_->SetRule(AskForUsers(users_));
  }

  // With the header as it is when a call is made; null for none.
  ConnectionOptions As(const std::shared_ptr<std::string>& header) {
    ConnectionOptions options = To(front_->address());
    if (header != nullptr) {
      options.authorization = [header]() -> Result<std::string> {
        return header->empty() ? Result<std::string>(Status::Denied("the file: nothing in it"))
                               : Result<std::string>(*header);
      };
      options.credentials_origin = "the file";
    }
    return options;
  }
  static std::shared_ptr<std::string> Header(const std::string& value) {
    return std::make_shared<std::string>(value);
  }

  static Status AwaitAnswer(Appender* appender) {
    std::vector<AppendAnswer> answers;
    while (answers.empty()) {
      pollfd wake{appender->wake(), POLLIN, 0};
      EXPECT_EQ(::poll(&wake, 1, -1), 1);
      answers = appender->Take();
    }
    return answers.front().status;
  }

  // How a subscription ends that gets no further than one event.
  static EndOfCall Subscribe(Source* source) {
    const auto sink = std::make_shared<RecordingSink>();
    const auto subscription = source->Subscribe(Everything(), sink);
    return sink->AwaitEnd().value_or(EndOfCall{});
  }

  const TemporaryFolder folder_;
  std::unique_ptr<embedded::EmbeddedServer> log_;
  NodeUsers users_ = {{"reader", {"right", true, false}}, {"writer", {"right", false, true}}};
  std::unique_ptr<Front> front_;
};

TEST_F(AccessTest, AWrongPasswordIsToldFromAMissingRightAndEachSaysWhatIsWanted) {
  const EndOfCall wrong = Subscribe(OpenKurrentSource(As(Header(kWrong)))->get());
  EXPECT_EQ(wrong.kind, EndClass::kCredentials);
  EXPECT_THAT(wrong.text, HasSubstr("UNAUTHENTICATED: the server knows no such user and password: "
                                    "wanted those of a user of it in the file"));
  const EndOfCall no_right = Subscribe(OpenKurrentSource(As(Header(kWriter)))->get());
  EXPECT_EQ(no_right.kind, EndClass::kRights);
  EXPECT_THAT(no_right.text,
              HasSubstr("PERMISSION_DENIED: Access Denied; the user of the file may not read $all, "
                        "which by default only members of $admins do"));
  const EndOfCall nobody = Subscribe(OpenKurrentSource(As(nullptr))->get());
  EXPECT_EQ(nobody.kind, EndClass::kRights);
  EXPECT_THAT(nobody.text, HasSubstr("no credentials were sent: wanted source.credentials_file"));
}

TEST_F(AccessTest, EachCallCarriesTheHeaderOfItsTime) {
  const auto header = Header(kWrong);
  const auto source = *OpenKurrentSource(As(header));
  EXPECT_FALSE(ReadHeadAndWait(source.get()).ok());
  *header = kReader;
  const auto head = ReadHeadAndWait(source.get());
  EXPECT_TRUE(head.ok()) << head.status().message();
  *header = kWrong;
  EXPECT_FALSE(ReadHeadAndWait(source.get()).ok());
}

TEST_F(AccessTest, WithoutTheHeaderThatIsWantedNoCallIsMade) {
  std::mutex mutex;
  std::vector<std::string> called;
  front_->SetRule([&](const Front::Call& call) {
    const std::lock_guard lock(mutex);
    called.push_back(call.method);
    return Front::Fate();
  });
  const ConnectionOptions options = As(Header(""));
  const EndOfCall end = Subscribe(OpenKurrentSource(options)->get());
  EXPECT_EQ(end.kind, EndClass::kCredentials);
  EXPECT_THAT(end.text, HasSubstr("the file: nothing in it"));
  const auto appender = *Appender::Open(options);
  NewEvent event;
  event.type = "x";
  const NewEvent* events[] = {&event};
  (void)appender->Append("s", {}, events);
  const Status answer = AwaitAnswer(appender.get());
  EXPECT_EQ(answer.code(), Status::Code::kDenied);
  EXPECT_THAT(answer.message(), HasSubstr("append to stream s: the file: nothing in it"));
  const std::lock_guard lock(mutex);
  EXPECT_EQ(called, std::vector<std::string>());
}

TEST_F(AccessTest, ARightThatIsLostEndsTheOpenCall) {
  const auto source = *OpenKurrentSource(As(Header(kReader)));
  const auto sink = std::make_shared<RecordingSink>();
  const auto subscription = source->Subscribe(Everything(), sink);
  ASSERT_TRUE(sink->AwaitCount(1));
  users_["reader"].reads_all = false;
  front_->SetRule(AskForUsers(users_));
  EXPECT_EQ(sink->AwaitEnd().value_or(EndOfCall{}).kind, EndClass::kRights);
}

TEST_F(AccessTest, AnAppendWithoutTheRightIsRefusedWithAdvice) {
  const auto append = [&](const ConnectionOptions& options) {
    const auto appender = *Appender::Open(options);
    NewEvent event;
    event.id = RandomUuid();
    event.type = "x";
    const NewEvent* events[] = {&event};
    (void)appender->Append("t", {}, events);
    return AwaitAnswer(appender.get());
  };
  EXPECT_TRUE(append(As(Header(kWriter))).ok());
  const Status no_right = append(As(Header(kReader)));
  EXPECT_EQ(no_right.code(), Status::Code::kDenied);
  EXPECT_THAT(no_right.message(), HasSubstr("the user of the file has no right"));
  EXPECT_THAT(append(As(nullptr)).message(), HasSubstr("no credentials were sent"));
  EXPECT_THAT(append(As(Header(kWrong))).message(),
              HasSubstr("the server knows no such user and password"));
}

// A node's answer to a header that it cannot decode (notes 4.1).
TEST_F(AccessTest, HttpsInternalErrorIsTheCredentialsWhereSomeWereSent) {
  for (const bool sends : {true, false}) {
    RawServer node;
    ConnectionOptions options = As(sends ? Header(kReader) : nullptr);
    options.address = node.address();
    const EndOfCall end = Subscribe(OpenKurrentSource(options)->get());
    EXPECT_EQ(end.kind, sends ? EndClass::kCredentials : EndClass::kDropped) << end.text;
  }
}

}  // namespace
}  // namespace catchup
