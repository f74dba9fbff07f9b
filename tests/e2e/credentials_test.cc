#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>

#include <filesystem>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "host/source/embedded/log_server.h"
#include "tests/e2e/harness.h"
#include "tests/source/cluster/front.h"
#include "tests/source/cluster/users.h"
#include "tests/test_files.h"

// The real program at a node that asks who calls (protocol notes 4.1, 4.2).

namespace catchup::e2e {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;
using Strings = std::vector<std::string>;

class CredentialsTest : public testing::Test {
 protected:
  CredentialsTest() {
    embedded::ServerOptions options;
    options.directory = site_.file("log");
    log_ = *embedded::EmbeddedServer::Start(options);
    front_ = std::make_unique<Front>(log_->address());
    front_->SetRule(AskForUsers(users_));
    uri_ = "kurrentdb://" + front_->address() + "?tls=false";
  }
  // Whatever it does, nobody finds a password anywhere that it has written.
  ~CredentialsTest() override {
    std::filesystem::remove(site_.file("secret"));
    std::filesystem::remove_all(site_.file("log"));
    for (const auto& entry : std::filesystem::recursive_directory_iterator(site_.path())) {
      if (entry.is_regular_file()) {
        const std::string text = ReadFile(entry.path());
        EXPECT_THAT(text, Not(HasSubstr("s3cret"))) << entry.path();
        EXPECT_THAT(text, Not(HasSubstr("czNjcmV0"))) << entry.path();
      }
    }
  }

  // As an operator's tool would put a new file in the place of an old one.
  void PutSecret(const std::string& line, mode_t mode = 0400) {
    WriteFile(site_.file("secret.new"), line);
    ASSERT_EQ(::chmod(site_.file("secret.new").c_str(), mode), 0);
    std::filesystem::rename(site_.file("secret.new"), site_.file("secret"));
  }
  void Configure(const std::string& keys = "prefixes = [\"\"]") {
    site_.Configure(JsonlGroup("copy", keys), uri_ + "\"\ncredentials_file = \"./secret");
  }
  Finished Append(const Strings& lines, Strings options) {
    std::string text;
    for (const std::string& line : lines) {
      text += line + "\n";
    }
    WriteFile(site_.file("events.jsonl"), text);
    Strings arguments = {"append", "--to", uri_};
    arguments.insert(arguments.end(), options.begin(), options.end());
    arguments.push_back("events.jsonl");
    return site_.Catchup(arguments);
  }
  void Seed() { ASSERT_TRUE(log_->Seed("s", "x", "{}").ok()); }

  // Waits until the group says that it waits, and why.
  void ExpectWaiting(Process* host, const std::string& words) {
    EXPECT_TRUE(WaitUntil([&] {
      return host->Log().Last("State changed", "copy", "state") == "waiting" &&
             host->Log().Last("State changed", "copy", "reason").find(words) != std::string::npos;
    })) << words
        << host->Errors();
  }
  void ExpectWritten(Process* host, const Strings& wanted) {
    EXPECT_TRUE(WaitUntil([&] { return Written(site_, "copy") == wanted; })) << host->Errors();
  }

  Site site_;
  NodeUsers users_ = {{"admin", {"s3cret", true, true}},
                      {"reader", {"s3cret", true, false}},
                      {"ops", {"s3cret", false, true}}};
  std::unique_ptr<embedded::EmbeddedServer> log_;
  std::unique_ptr<Front> front_;
  std::string uri_;
};

TEST_F(CredentialsTest, AGroupWaitsForTheRightOnesAndGoesOnByItself) {
  Seed();
  PutSecret("admin:s3cret-of-old\n");
  Configure();
  EXPECT_EQ(site_.Check().exit, 0);
  site_.UseTestProgram(20);
  const auto host = site_.Start({"run", "host.toml"});
  ExpectWaiting(host.get(), "credentials: refused (" + front_->address() +
                                ": UNAUTHENTICATED: the server knows no such user and password: "
                                "wanted those of a user of it in source.credentials_file ./secret");
  PutSecret("ops:s3cret\n");
  EXPECT_TRUE(host->WaitForLog("Credentials changed"));
  EXPECT_TRUE(WaitUntil([&] {
    return host->Errors().find("may not read $all, which by default only members of $admins do") !=
           std::string::npos;
  })) << host->Errors();
  PutSecret("reader:s3cret\n");
  ExpectWritten(host.get(), {"s@0 x"});

  // A right that is lost in the middle of a call.
  users_["reader"].reads_all = false;
  front_->SetRule(AskForUsers(users_));
  ExpectWaiting(host.get(), "credentials: refused (" + front_->address() + ": PERMISSION_DENIED: ");
  Seed();
  std::filesystem::remove(site_.file("secret"));
  EXPECT_TRUE(WaitUntil([&] {
    return host->Errors().find("source.credentials_file ./secret: cannot open it: No such file") !=
           std::string::npos;
  })) << host->Errors();
  PutSecret("admin:s3cret");
  ExpectWritten(host.get(), {"s@0 x", "s@1 x"});
  host->Signal(SIGTERM);
  EXPECT_EQ(host->Wait(), 0) << host->Errors();
}

// What is open goes on with the old ones, so that only a warning tells before the next call.
TEST_F(CredentialsTest, AFileThatGoesBadUnderALiveGroupIsWarnedOfAndWaitedForAtTheNextCall) {
  const std::string good = "admin:s3cret\n";
  PutSecret(good);
  Configure();
  site_.UseTestProgram(20);
  const auto host = site_.Start({"run", "host.toml"});
  Strings wanted;
  const auto expect_one_more = [&] {
    Seed();
    wanted.push_back("s@" + std::to_string(wanted.size()) + " x");
    ExpectWritten(host.get(), wanted);
  };
  struct Bad {
    std::string line;
    mode_t mode;
    std::string fault;
  };
  const std::vector<Bad> bad = {{"", 0400, "nothing in it"},
                                {"admin", 0400, "no \":\" in it"},
                                {"s3cret:\xff\xfe", 0400, "bytes in it that are not UTF-8"},
                                {good, 0644, "its mode is 0644"}};
  for (const auto& [line, mode, fault] : bad) {
    expect_one_more();
    PutSecret(line, mode);
    EXPECT_TRUE(WaitUntil([&, words = fault] {
      return host->Log().Last("Credentials changed", "", "reason").find(words) == 0;
    })) << host->Errors();
    expect_one_more();
    front_->SetRule([ask = AskForUsers(users_)](const Front::Call& call) {
      return call.open ? Front::Fate::End({grpc::StatusCode::UNAVAILABLE, "gone"}) : ask(call);
    });
    EXPECT_TRUE(WaitUntil([&, words = fault] {
      return host->Log().Last("Subscription refused", "copy", "reason").find(words) !=
             std::string::npos;
    })) << host->Errors();
    PutSecret(good);
  }
  expect_one_more();
  host->Signal(SIGTERM);
  EXPECT_EQ(host->Wait(), 0) << host->Errors();
}

TEST_F(CredentialsTest, AGroupThatStartsAtTheEndWaitsForThemToo) {
  PutSecret("admin:s3cret-of-old");
  Configure("prefixes = [\"\"]\nstart = \"end\"");
  site_.UseTestProgram(20);
  const auto host = site_.Start({"run", "host.toml"});
  ExpectWaiting(host.get(), "credentials: head of the log not read");
  PutSecret("admin:s3cret");
  EXPECT_TRUE(WaitUntil([&] {
    return host->Log().Last("State changed", "copy", "state") == "caught up";
  })) << host->Errors();
}

TEST_F(CredentialsTest, TheEnvironmentsAreTakenOutOfIt) {
  Seed();
  site_.Configure(JsonlGroup("copy"), uri_);
  site_.SetEnv("CATCHUP_CREDENTIALS", "admin:s3cret");
  const auto host = site_.Start({"run", "host.toml"});
  ExpectWritten(host.get(), {"s@0 x"});
  const std::string proc = "/proc/" + std::to_string(host->pid()) + "/environ";
  EXPECT_THAT(ReadFile(proc), AllOf(HasSubstr("PATH="), Not(HasSubstr("s3cret"))));
}

TEST_F(CredentialsTest, AFileThatIsMissingOrReadableKeepsEveryCommandFromStarting) {
  const auto expect = [&](const std::string& fault) {
    const std::string text = "source.credentials_file ./secret: " + fault;
    const Finished checked = site_.Check();
    EXPECT_EQ(checked.exit, 78);
    EXPECT_THAT(checked.err, HasSubstr("host.toml:3:20: " + text));
    const Finished run = site_.RunUntilCaughtUp();
    EXPECT_EQ(run.exit, 78);
    EXPECT_THAT(run.err, HasSubstr("host.toml:3:20: " + text));
    const Finished appended = Append({}, {"--credentials-file", "./secret"});
    EXPECT_EQ(appended.exit, 2);
    EXPECT_THAT(appended.err, HasSubstr("--credentials-file ./secret: " + fault));
  };
  Configure();
  expect("cannot open it: No such file or directory");
  PutSecret("admin:s3cret", 0644);
  expect(
      "its mode is 0644: wanted no access for others and no writing by the group, as by chmod "
      "0400");
  PutSecret("s3cret");
  expect("no \":\" in it: wanted one line user:password");
}

TEST_F(CredentialsTest, AnAppendShowsThemAndSaysWhatItLacks) {
  const std::string line = EventLine("t", "x");
  const Finished nobody = Append({line}, {});
  EXPECT_EQ(nobody.exit, 1);
  EXPECT_THAT(nobody.err, HasSubstr("no credentials were sent: wanted "));
  PutSecret("admin:s3cret-of-old");
  const Finished wrong = Append({line}, {"--credentials-file", "secret"});
  EXPECT_EQ(wrong.exit, 1);
  EXPECT_THAT(wrong.err, HasSubstr("wanted those of a user of it in --credentials-file"));
  PutSecret("reader:s3cret");
  const Finished no_right = Append({line}, {"--credentials-file", "secret"});
  EXPECT_EQ(no_right.exit, 1);
  EXPECT_THAT(no_right.err, HasSubstr("the user of --credentials-file has no right"));
  PutSecret("ops:s3cret");
  const Finished written = Append({line}, {"--credentials-file", "secret"});
  EXPECT_EQ(written.exit, 0) << written.err;
  EXPECT_EQ(written.out, "written 1, already there 0, next line 2\n");
}

TEST_F(CredentialsTest, ASinksStreamIsWrittenAsTheSameUser) {
  PutSecret("admin:s3cret");
  site_.Configure(
      TroubleGroup("trouble", "prefixes = [\"\"]\ndead_letters = {sinks = [\"stream:letters\"]}"),
      uri_ + "\"\ncredentials_file = \"./secret");
  ASSERT_TRUE(log_->Seed("s", "x", R"({"do":"reject"})").ok());
  std::mutex mutex;
  Strings shown;
  front_->SetRule([&, ask = AskForUsers(users_)](const Front::Call& call) {
    const std::lock_guard lock(mutex);
    if (call.method.ends_with("/BatchAppend")) {
      shown.push_back(call.Header("authorization"));
    }
    return ask(call);
  });
  const Finished run = site_.RunUntilCaughtUp();
  EXPECT_EQ(run.exit, 0) << run.err;
  const std::lock_guard lock(mutex);
  EXPECT_EQ(shown, Strings{"Basic YWRtaW46czNjcmV0"}) << run.err;
}

TEST_F(CredentialsTest, APasswordThatIsReadableOnTheWayIsWarnedOf) {
  PutSecret("admin:s3cret");
  site_.Configure(JsonlGroup("copy"),
                  "kurrentdb://db.invalid?tls=false\"\ncredentials_file = \"./secret");
  const std::string warning =
      "tls=false: the password is sent to db.invalid:2113 readable for everybody on the way";
  const Finished checked = site_.Check();
  EXPECT_EQ(checked.exit, 0);
  EXPECT_THAT(checked.err, HasSubstr(warning));
  const auto host = site_.Start({"run", "host.toml"});
  EXPECT_TRUE(host->WaitForLog("Configuration"));
  EXPECT_THAT(host->Errors(), HasSubstr(warning));
}

}  // namespace
}  // namespace catchup::e2e
