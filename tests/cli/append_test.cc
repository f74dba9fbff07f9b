#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <memory>

#include "host/base/unique_fd.h"
#include "tests/e2e/harness.h"

// `catchup append` and `catchup dev-server`, as the processes that users start.

namespace catchup::e2e {
namespace {

using Strings = std::vector<std::string>;

std::string Text(const Strings& lines) {
  std::string text;
  for (const std::string& line : lines) {
    text += line + '\n';
  }
  return text;
}

void ExpectHas(const std::string& text, const std::string& word) {
  EXPECT_NE(text.find(word), std::string::npos) << "wanted \"" << word << "\" in: " << text;
}

// A log that is written by append and read back through a group.
class AppendTest : public testing::Test {
 protected:
  AppendTest() { site_.Configure(JsonlGroup("all")); }

  Finished Append(Strings more = {}) {
    Strings arguments = {"append", "--to", "embedded:log", "events.jsonl"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return site_.Catchup(arguments);
  }

  Strings ReadBack() {
    const Finished run = site_.RunUntilCaughtUp();
    EXPECT_EQ(run.exit, 0) << run.err;
    return Written(site_, "all");
  }

  Site site_;
};

TEST_F(AppendTest, WritesInFileOrderAndSaysHowFarItCame) {
  WriteFile(site_.file("events.jsonl"),
            Text({EventLine("a", "x"), EventLine("b", "y"), "", EventLine("a", "z")}));
  const Finished appended = Append();
  EXPECT_EQ(appended.exit, 0) << appended.err;
  EXPECT_EQ(appended.out, "written 3, next line 5\n");
  EXPECT_EQ(appended.err, "");
  EXPECT_EQ(ReadBack(), (Strings{"a@0 x", "b@0 y", "a@1 z"}));
}

TEST_F(AppendTest, DataAndMetadataComeBackAsTheyWereWritten) {
  const std::string id = "0196f3a1-7c1e-7b2a-8d4f-2e6a9b1c3d5e";
  WriteFile(site_.file("events.jsonl"),
            Text({"{\"stream\":\"a\",\"type\":\"x\",\"id\":\"" + id +
                      "\",\"data\":{ \"n\" : 1.0e2, \"t\":\"\\u00e9\" },\"metadata\":[1, 2]}",
                  "{\"type\":\"raw\",\"stream\":\"a\",\"dataBase64\":\"AAEC/w==\",\"more\":1}",
                  "{\"stream\":\"a\",\"type\":\"bare\"}"}));
  ASSERT_EQ(Append().exit, 0);
  ReadBack();
  const Strings lines = ReadLines(site_.data("all", "out.jsonl"));
  ASSERT_EQ(lines.size(), 3u);
  ExpectHas(lines[0], "\"data\":{ \"n\" : 1.0e2, \"t\":\"\\u00e9\" }");
  ExpectHas(lines[0], "\"metadata\":[1, 2]");
  EXPECT_EQ(ParseJsonObject(lines[0]).at("id"), id);
  EXPECT_EQ(ParseJsonObject(lines[1]).at("dataBase64"), "AAEC/w==");
  EXPECT_FALSE(ParseJsonObject(lines[1]).contains("data"));
  EXPECT_FALSE(ParseJsonObject(lines[2]).contains("data"));
  EXPECT_FALSE(ParseJsonObject(lines[2]).contains("dataBase64"));
}

TEST_F(AppendTest, WhatJsonlWroteCanBeAppendedElsewhere) {
  WriteFile(site_.file("events.jsonl"),
            Text({EventLine("a", "x", "{\"n\":1}"), EventLine("b", "y"), EventLine("a", "z")}));
  ASSERT_EQ(Append().exit, 0);
  const Strings first = ReadBack();
  Site other;
  other.Configure(JsonlGroup("all"));
  const Finished copied =
      other.Catchup({"append", "--to", "embedded:log", site_.data("all", "out.jsonl").string()});
  ASSERT_EQ(copied.exit, 0) << copied.err;
  ASSERT_EQ(other.RunUntilCaughtUp().exit, 0);
  EXPECT_EQ(Written(other, "all"), first);
}

TEST_F(AppendTest, TheSameFileAgainAddsNothing) {
  Strings lines;
  for (int i = 0; i < 2'500; ++i) {
    lines.push_back(EventLine("s" + std::to_string(i / 1'200), "x"));
  }
  WriteFile(site_.file("events.jsonl"), Text(lines));
  ASSERT_EQ(Append().exit, 0);
  const Finished again = Append();
  EXPECT_EQ(again.exit, 0) << again.err;
  EXPECT_EQ(again.out, "written 2500, next line 2501\n");
  EXPECT_EQ(ReadBack().size(), 2'500u);
}

TEST_F(AppendTest, AMalformedLineIsNamedAndNothingBehindItIsWritten) {
  WriteFile(site_.file("events.jsonl"),
            Text({EventLine("a", "x"), EventLine("b", "y"), "{\"stream\":\"a\",\"type\":}",
                  EventLine("a", "z")}));
  const Finished appended = Append();
  EXPECT_EQ(appended.exit, 1);
  EXPECT_EQ(appended.out, "written 2, next line 3\n");
  ExpectHas(appended.err, "events.jsonl:3: ");
  ExpectHas(appended.err, "wanted");
  EXPECT_EQ(ReadBack(), (Strings{"a@0 x", "b@0 y"}));
}

TEST_F(AppendTest, AMalformedFirstLineWritesNothing) {
  WriteFile(site_.file("events.jsonl"), Text({"what", EventLine("a", "z")}));
  const Finished appended = Append();
  EXPECT_EQ(appended.exit, 1);
  EXPECT_EQ(appended.out, "written 0, next line 1\n");
  ExpectHas(appended.err, "events.jsonl:1: ");
  EXPECT_EQ(ReadBack(), Strings{});
}

TEST_F(AppendTest, FromLineGoesOnWhereACorrectedFileStopped) {
  Strings lines = {EventLine("a", "x"), "{\"stream\":\"a\"}", EventLine("a", "z")};
  WriteFile(site_.file("events.jsonl"), Text(lines));
  const Finished first = Append();
  EXPECT_EQ(first.exit, 1);
  EXPECT_EQ(first.out, "written 1, next line 2\n");
  ExpectHas(first.err, "events.jsonl:2: ");
  lines[1] = EventLine("a", "y");
  WriteFile(site_.file("events.jsonl"), Text(lines));
  const Finished rest = Append({"--from-line", "2"});
  EXPECT_EQ(rest.exit, 0) << rest.err;
  EXPECT_EQ(rest.out, "written 2, next line 4\n");
  EXPECT_EQ(ReadBack(), (Strings{"a@0 x", "a@1 y", "a@2 z"}));
}

// A server takes a repeated append whole or not at all.
TEST_F(AppendTest, RepeatingACorrectedFileNamesTheWayOut) {
  Strings lines = {EventLine("a", "x"), "{\"stream\":\"a\"}", EventLine("a", "z")};
  WriteFile(site_.file("events.jsonl"), Text(lines));
  EXPECT_EQ(Append().out, "written 1, next line 2\n");
  lines[1] = EventLine("a", "y");
  WriteFile(site_.file("events.jsonl"), Text(lines));
  const Finished again = Append();
  EXPECT_EQ(again.exit, 1);
  EXPECT_EQ(again.out, "written 0, next line 1\n");
  ExpectHas(again.err,
            "some of these event ids are in the stream already, others are not; go on behind what "
            "an earlier append wrote: --from-line M, where M is the \"next line M\" that it "
            "printed\n");
}

TEST_F(AppendTest, FromLineBehindTheFileIsAnErrorButNotRightBehindIt) {
  WriteFile(site_.file("events.jsonl"), Text({EventLine("a", "x"), EventLine("a", "y")}));
  const Finished none = Append({"--from-line", "0"});
  EXPECT_EQ(none.exit, 2);
  ExpectHas(none.err, "--from-line");
  ExpectHas(none.err, "wanted a line number from 1");
  const Finished behind = Append({"--from-line", "99"});
  EXPECT_EQ(behind.exit, 1);
  EXPECT_EQ(behind.err, "--from-line 99: events.jsonl has 2 lines\n");
  EXPECT_EQ(behind.out, "");
  // What an append of the whole file names as the next line.
  const Finished rest = Append({"--from-line", "3"});
  EXPECT_EQ(rest.exit, 0) << rest.err;
  EXPECT_EQ(rest.out, "written 0, next line 3\n");
}

// What was confirmed stays, what was only read is read again.
TEST_F(AppendTest, ASignalStopsBetweenTwoAppendsAndSaysWhereToGoOn) {
  const std::filesystem::path input = site_.file("input");
  for (const int signal : {SIGINT, SIGTERM}) {
    std::filesystem::remove(input);
    ASSERT_EQ(::mkfifo(input.c_str(), 0600), 0);
    const std::string log = "log" + std::to_string(signal);
    const auto append = site_.Start({"append", "--to", "embedded:" + log, "input"});
    const UniqueFd writer(::open(input.c_str(), O_WRONLY | O_CLOEXEC));
    ASSERT_TRUE(writer.valid());
    const std::string lines = Text({EventLine("a", "x"), EventLine("b", "y"), EventLine("c", "z")});
    ASSERT_EQ(::write(writer.get(), lines.data(), lines.size()),
              static_cast<ssize_t>(lines.size()));
    // Empty once all of it was read; the third event waits for a fourth.
    ASSERT_TRUE(WaitUntil([&] {
      int unread = 0;
      return ::ioctl(writer.get(), FIONREAD, &unread) == 0 && unread == 0;
    }));
    // One that falls between a look for it and the read that waits is noticed with the next.
    ASSERT_TRUE(WaitUntil([&] {
      append->Signal(signal);
      return !append->Running();
    }));
    EXPECT_EQ(append->Wait(), 1);
    ExpectHas(append->Errors(), signal == SIGINT ? "stopped by SIGINT" : "stopped by SIGTERM");
    // How far it came before the signal is the machine's affair, that both numbers agree is not.
    const std::string said = append->Output();
    EXPECT_TRUE(said == "written 2, next line 3\n" || said == "written 1, next line 2\n" ||
                said == "written 0, next line 1\n")
        << said;
  }
}

TEST_F(AppendTest, AFileInPlaceOfTheLogIsNamed) {
  WriteFile(site_.file("events.jsonl"), Text({EventLine("a", "x")}));
  const Finished appended =
      site_.Catchup({"append", "--to", "embedded:events.jsonl", "events.jsonl"});
  EXPECT_EQ(appended.exit, 1);
  ExpectHas(appended.err, "it is no directory, wanted the directory of the log");
}

TEST_F(AppendTest, StandardInputIsAFileToo) {
  const Finished appended = site_.Catchup({"append", "--to", "embedded:log", "-"}, kPatience,
                                          Text({EventLine("a", "x"), EventLine("a", "y")}));
  EXPECT_EQ(appended.exit, 0) << appended.err;
  EXPECT_EQ(appended.out, "written 2, next line 3\n");
  EXPECT_EQ(ReadBack(), (Strings{"a@0 x", "a@1 y"}));
}

TEST_F(AppendTest, AFileThatIsNotThereOrIsAFolderIsNamed) {
  const Finished absent = site_.Catchup({"append", "--to", "embedded:log", "absent.jsonl"});
  EXPECT_EQ(absent.exit, 1);
  ExpectHas(absent.err, "absent.jsonl");
  const Finished folder = site_.Catchup({"append", "--to", "embedded:log", "."});
  EXPECT_EQ(folder.exit, 1);
  ExpectHas(folder.err, "directory");
}

TEST_F(AppendTest, AUriThatCannotBeReadIsAUsageError) {
  WriteFile(site_.file("events.jsonl"), Text({EventLine("a", "x")}));
  const Finished appended = site_.Catchup({"append", "--to", "nonsense://x", "events.jsonl"});
  EXPECT_EQ(appended.exit, 2);
  ExpectHas(appended.err, "--to");
}

TEST_F(AppendTest, AnUnreachableServerFailsWithItsAddress) {
  WriteFile(site_.file("events.jsonl"), Text({EventLine("a", "x")}));
  const Finished appended =
      site_.Catchup({"append", "--to", "kurrentdb://127.0.0.1:1?tls=false", "events.jsonl"});
  EXPECT_EQ(appended.exit, 1);
  EXPECT_EQ(appended.out, "written 0, next line 1\n");
  ExpectHas(appended.err, "127.0.0.1:1");
}

// The line the server prints is the URI that the others take.
class DevServerTest : public testing::Test {
 protected:
  void Serve(Strings more = {}) {
    Strings arguments = {"dev-server", "--listen", "127.0.0.1:0", "--data", "served"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    server_ = site_.Start(arguments);
    ASSERT_TRUE(WaitUntil([&] { return server_->Output().find('\n') != std::string::npos; }))
        << server_->Errors();
    uri_ = server_->Output().substr(0, server_->Output().find('\n'));
  }

  Site site_;
  std::unique_ptr<Process> server_;
  std::string uri_;
};

TEST_F(DevServerTest, AppendAndRunReachItByItsUri) {
  Serve();
  ExpectHas(uri_, "kurrentdb://127.0.0.1:");
  ExpectHas(server_->Errors(), "not for production");
  WriteFile(site_.file("events.jsonl"), Text({EventLine("a", "x"), EventLine("a", "y")}));
  const Finished appended = site_.Catchup({"append", "--to", uri_, "events.jsonl"});
  EXPECT_EQ(appended.exit, 0) << appended.err;
  EXPECT_EQ(appended.out, "written 2, next line 3\n");
  site_.Configure(JsonlGroup("all"), uri_);
  const Finished run = site_.RunUntilCaughtUp();
  EXPECT_EQ(run.exit, 0) << run.err;
  EXPECT_EQ(Written(site_, "all"), (Strings{"a@0 x", "a@1 y"}));
  server_->Signal(SIGTERM);
  EXPECT_EQ(server_->Wait(), 0) << server_->Errors();
}

TEST_F(DevServerTest, KeepsItsEventsOverARestart) {
  Serve();
  WriteFile(site_.file("events.jsonl"), Text({EventLine("a", "x")}));
  ASSERT_EQ(site_.Catchup({"append", "--to", uri_, "events.jsonl"}).exit, 0);
  server_->Signal(SIGINT);
  EXPECT_EQ(server_->Wait(), 0) << server_->Errors();
  Serve();
  site_.Configure(JsonlGroup("all"), uri_);
  EXPECT_EQ(site_.RunUntilCaughtUp().exit, 0);
  EXPECT_EQ(Written(site_, "all"), Strings{"a@0 x"});
}

// `embedded:PATH` finds the live owner of a log.
TEST_F(DevServerTest, TheEmbeddedUriUsesTheServerThatHasTheLog) {
  Serve();
  WriteFile(site_.file("events.jsonl"), Text({EventLine("a", "x")}));
  const Finished appended = site_.Catchup({"append", "--to", "embedded:served", "events.jsonl"});
  EXPECT_EQ(appended.exit, 0) << appended.err;
  site_.Configure(JsonlGroup("all"), "embedded:served");
  EXPECT_EQ(site_.RunUntilCaughtUp().exit, 0);
  EXPECT_EQ(Written(site_, "all"), Strings{"a@0 x"});
  EXPECT_TRUE(server_->Running());
}

TEST_F(DevServerTest, ASecondServerOnTheSameDataNamesTheFirst) {
  Serve();
  const Finished second =
      site_.Catchup({"dev-server", "--listen", "127.0.0.1:0", "--data", "served"});
  EXPECT_EQ(second.exit, 1);
  ExpectHas(second.err, std::to_string(server_->pid()));
}

TEST_F(DevServerTest, AnAppendAboveItsLimitIsRefused) {
  Serve({"--max-append-size", "1KiB"});
  WriteFile(site_.file("events.jsonl"),
            Text({EventLine("a", "small"),
                  EventLine("b", "large", '"' + std::string(4'000, 'x') + '"')}));
  const Finished appended = site_.Catchup({"append", "--to", uri_, "events.jsonl"});
  EXPECT_EQ(appended.exit, 1);
  EXPECT_EQ(appended.out, "written 1, next line 2\n");
  EXPECT_NE(appended.err, "");
}

TEST_F(DevServerTest, OptionsThatCannotBeAreUsageErrors) {
  EXPECT_EQ(site_.Catchup({"dev-server", "--listen", "nowhere"}).exit, 2);
  EXPECT_EQ(site_.Catchup({"dev-server", "--max-append-size", "17MiB"}).exit, 2);
}

}  // namespace
}  // namespace catchup::e2e
