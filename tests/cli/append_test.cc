#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <memory>

#include "host/base/unique_fd.h"
#include "tests/e2e/harness.h"

// `catchup append` and `catchup dev-server`, as the processes that users start.

namespace catchup::e2e {
namespace {

using testing::HasSubstr;

using Strings = std::vector<std::string>;

std::string Text(const Strings& lines) {
  std::string text;
  for (const std::string& line : lines) {
    text += line + '\n';
  }
  return text;
}

// What stands behind "run " in the first line that an append says.
std::string TokenOf(const std::string& errors) {
  EXPECT_EQ(errors.substr(0, 4), "run ") << errors;
  return errors.substr(4, errors.find('\n') - 4);
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
  EXPECT_EQ(appended.out, "written 3, already there 0, next line 5\n");
  EXPECT_EQ(appended.err, "run " + TokenOf(appended.err) + "\n");
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
  EXPECT_THAT(lines[0], HasSubstr("\"data\":{ \"n\" : 1.0e2, \"t\":\"\\u00e9\" }"));
  EXPECT_THAT(lines[0], HasSubstr("\"metadata\":[1, 2]"));
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

// Bytes that one line cannot give back, and content types that the member does not imply, go
// through the log and another log and stay what they were.
TEST_F(AppendTest, PayloadsAndContentTypesSurviveEveryCopy) {
  const std::string json = ",\"contentType\":\"application/json\"";
  const std::string octets = ",\"contentType\":\"application/octet-stream\"";
  const Strings payloads = {
      R"(,"data":{ "a" : 1 })",
      R"(,"data":{"a":1})" + octets,
      R"(,"dataBase64":"eyJhIjoxfQo=")" + json,  // {"a":1} and a line feed
      R"(,"dataBase64":"IHsKfSA=")" + json,      // blanks around, a line feed inside
      R"(,"dataBase64":"e2Jyb2tlbg==")" + json,
      R"(,"dataBase64":"AAEC/w==")",
      json,
      R"(,"metadata":[1, 2])",
      R"(,"metadataBase64":"Cg==")",
  };
  Strings lines;
  for (const std::string& payload : payloads) {
    lines.push_back("{\"stream\":\"a\",\"type\":\"x\"" + payload + "}");
  }
  WriteFile(site_.file("events.jsonl"), Text(lines));
  const auto tails = [](const std::filesystem::path& file) {
    Strings found;
    for (const std::string& line : ReadLines(file)) {
      const std::size_t behind = line.find("Z\"") + 2;  // The time of creation, the last but these.
      found.push_back(line.substr(behind, line.size() - 1 - behind));
    }
    return found;
  };
  ASSERT_EQ(Append().exit, 0);
  ReadBack();
  EXPECT_EQ(tails(site_.data("all", "out.jsonl")), payloads);

  Site other;
  other.Configure(JsonlGroup("all"));
  const std::string copy = site_.data("all", "out.jsonl").string();
  ASSERT_EQ(other.Catchup({"append", "--to", "embedded:log", copy}).exit, 0);
  ASSERT_EQ(other.RunUntilCaughtUp().exit, 0);
  EXPECT_EQ(tails(other.data("all", "out.jsonl")), payloads);

  const Finished tried = site_.Catchup(
      {"try", PLUGIN_DIRECTORY "/jsonl.so", copy, "--set", "file=\"out.jsonl\"", "--work", "work"});
  EXPECT_EQ(tried.exit, 0) << tried.err;
  EXPECT_EQ(tails(site_.file("work/out.jsonl")), payloads);
}

// ---- What is a new event, and what is there already ----

TEST_F(AppendTest, ALineWithoutAnIdIsANewEventInEachRun) {
  for (int i = 0; i < 3; ++i) {
    const Finished piped = site_.Catchup({"append", "--to", "embedded:log", "-"}, kPatience,
                                         Text({EventLine("a", "x")}));
    EXPECT_EQ(piped.out, "written 1, already there 0, next line 2\n");
  }
  WriteFile(site_.file("events.jsonl"), Text({EventLine("a", "x"), EventLine("a", "x")}));
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(Append().out, "written 2, already there 0, next line 3\n");
  }
  EXPECT_EQ(ReadBack().size(), 7u);
}

std::string LineWithId(int number) {
  char id[64];
  std::snprintf(id, sizeof id, "0196f3a1-7c1e-7b2a-8d4f-%012d", number);
  return "{\"stream\":\"s" + std::to_string(number % 2) + "\",\"type\":\"x\",\"id\":\"" + id +
         "\"}";
}

TEST_F(AppendTest, LinesWithIdsAreThereOnceAndCountedAsWhatTheyAre) {
  Strings lines;
  for (int i = 0; i < 2'500; ++i) {
    lines.push_back(LineWithId(i));
  }
  WriteFile(site_.file("events.jsonl"), Text(lines));
  EXPECT_EQ(Append().out, "written 2500, already there 0, next line 2501\n");
  const Finished again = Append();
  EXPECT_EQ(again.exit, 0) << again.err;
  EXPECT_EQ(again.out, "written 0, already there 2500, next line 2501\n");
  lines.insert(lines.begin() + 1'000, {LineWithId(9'000), LineWithId(9'001), LineWithId(9'001)});
  WriteFile(site_.file("events.jsonl"), Text(lines));
  const Finished more = Append();
  EXPECT_EQ(more.exit, 0) << more.err;
  EXPECT_EQ(more.out, "written 2, already there 2501, next line 2504\n");
  EXPECT_EQ(ReadBack().size(), 2'502u);
}

TEST_F(AppendTest, ResumeGoesOnWithACorrectedFile) {
  Strings lines = {EventLine("a", "x"), "{\"stream\":\"a\"}", EventLine("a", "z")};
  WriteFile(site_.file("events.jsonl"), Text(lines));
  const Finished first = Append();
  EXPECT_EQ(first.exit, 1);
  EXPECT_EQ(first.out, "written 1, already there 0, next line 2\n");
  const std::string token = TokenOf(first.err);
  EXPECT_THAT(first.err, HasSubstr("events.jsonl:2: "));
  EXPECT_THAT(first.err, HasSubstr("to go on: --resume " + token + " --from-line 2\n"));
  lines[1] = EventLine("a", "y");
  WriteFile(site_.file("events.jsonl"), Text(lines));
  const Finished rest = Append({"--resume", token});
  EXPECT_EQ(rest.exit, 0) << rest.err;
  EXPECT_EQ(rest.err, "run " + token + "\n");
  EXPECT_EQ(rest.out, "written 2, already there 1, next line 4\n");
  EXPECT_EQ(Append({"--resume", token, "--from-line", "3"}).out,
            "written 0, already there 1, next line 4\n");
  EXPECT_EQ(ReadBack(), (Strings{"a@0 x", "a@1 y", "a@2 z"}));
}

TEST_F(AppendTest, ATokenThatNoRunHadIsAUsageError) {
  WriteFile(site_.file("events.jsonl"), Text({EventLine("a", "x")}));
  for (const std::string token : {"nonsense", "20261324T033917Z-9f3b2c7de01a4856",
                                  "20261124T033917Z-9f3b2c7de01a485", "20261124T033917Z"}) {
    const Finished appended = Append({"--resume", token});
    EXPECT_EQ(appended.exit, 2);
    EXPECT_THAT(appended.err,
                HasSubstr("--resume " + token + ": wanted the TOKEN of the line \"run TOKEN\""));
  }
}

Strings ManyLines() {
  Strings lines;
  for (int i = 0; i < 20'000; ++i) {
    lines.push_back(EventLine("s" + std::to_string(i % 997), "x"));
  }
  return lines;
}

TEST_F(AppendTest, ResumeAfterAKilledAppendWritesTheRestAndNothingTwice) {
  WriteFile(site_.file("events.jsonl"), Text(ManyLines()));
  std::string token;
  {
    const auto append = site_.Start({"append", "--to", "embedded:log", "events.jsonl"});
    ASSERT_TRUE(WaitUntil([&] {
      std::error_code absent;
      return std::filesystem::file_size(site_.file("log/events.db-wal"), absent) > 200'000 &&
             !absent;
    }));
    append->Signal(SIGKILL);
    EXPECT_EQ(append->Wait(), 128 + SIGKILL);
    token = TokenOf(append->Errors());
  }
  const Finished rest = Append({"--resume", token});
  EXPECT_EQ(rest.exit, 0) << rest.err;
  EXPECT_THAT(rest.out, HasSubstr("next line 20001\n"));
  EXPECT_EQ(ReadBack().size(), 20'000u);
}

TEST_F(AppendTest, AMalformedLineIsNamedAndNothingBehindItIsWritten) {
  WriteFile(site_.file("events.jsonl"),
            Text({EventLine("a", "x"), EventLine("b", "y"), "{\"stream\":\"a\",\"type\":}",
                  EventLine("a", "z")}));
  const Finished appended = Append();
  EXPECT_EQ(appended.exit, 1);
  EXPECT_EQ(appended.out, "written 2, already there 0, next line 3\n");
  EXPECT_THAT(appended.err, HasSubstr("events.jsonl:3: "));
  EXPECT_THAT(appended.err, HasSubstr("wanted"));
  EXPECT_EQ(ReadBack(), (Strings{"a@0 x", "b@0 y"}));
}

TEST_F(AppendTest, AMalformedFirstLineWritesNothing) {
  WriteFile(site_.file("events.jsonl"), Text({"what", EventLine("a", "z")}));
  const Finished appended = Append();
  EXPECT_EQ(appended.exit, 1);
  EXPECT_EQ(appended.out, "written 0, already there 0, next line 1\n");
  EXPECT_THAT(appended.err, HasSubstr("events.jsonl:1: "));
  EXPECT_EQ(ReadBack(), Strings{});
}

TEST_F(AppendTest, FromLineGoesOnWhereACorrectedFileStopped) {
  Strings lines = {EventLine("a", "x"), "{\"stream\":\"a\"}", EventLine("a", "z")};
  WriteFile(site_.file("events.jsonl"), Text(lines));
  const Finished first = Append();
  EXPECT_EQ(first.exit, 1);
  EXPECT_EQ(first.out, "written 1, already there 0, next line 2\n");
  EXPECT_THAT(first.err, HasSubstr("events.jsonl:2: "));
  lines[1] = EventLine("a", "y");
  WriteFile(site_.file("events.jsonl"), Text(lines));
  const Finished rest = Append({"--from-line", "2"});
  EXPECT_EQ(rest.exit, 0) << rest.err;
  EXPECT_EQ(rest.out, "written 2, already there 0, next line 4\n");
  EXPECT_EQ(ReadBack(), (Strings{"a@0 x", "a@1 y", "a@2 z"}));
}

TEST_F(AppendTest, FromLineBehindTheFileIsAnErrorButNotRightBehindIt) {
  WriteFile(site_.file("events.jsonl"), Text({EventLine("a", "x"), EventLine("a", "y")}));
  const Finished none = Append({"--from-line", "0"});
  EXPECT_EQ(none.exit, 2);
  EXPECT_THAT(none.err, HasSubstr("--from-line"));
  EXPECT_THAT(none.err, HasSubstr("wanted a line number from 1"));
  const Finished behind = Append({"--from-line", "99"});
  EXPECT_EQ(behind.exit, 1);
  EXPECT_THAT(behind.err, HasSubstr("\n--from-line 99: events.jsonl has 2 lines\n"));
  EXPECT_EQ(behind.out, "");
  // What an append of the whole file names as the next line.
  const Finished rest = Append({"--from-line", "3"});
  EXPECT_EQ(rest.exit, 0) << rest.err;
  EXPECT_EQ(rest.out, "written 0, already there 0, next line 3\n");
}

// ---- From a pipe that stays open ----

class LivePipeTest : public AppendTest {
 protected:
  LivePipeTest() {
    EXPECT_EQ(::mkfifo(site_.file("input").c_str(), 0600), 0);
    // Open for both, so that neither end waits for the other.
    pipe_ = UniqueFd(::open(site_.file("input").c_str(), O_RDWR | O_CLOEXEC));
    EXPECT_TRUE(pipe_.valid());
  }

  // Ready to be read from by others: a log that a reader had opened first would end with it.
  auto StartOnItsOwnLog() {
    auto append = site_.Start({"append", "--to", "embedded:log", "input"});
    EXPECT_TRUE(WaitUntil([&] { return std::filesystem::exists(site_.file("log/endpoint")); }));
    return append;
  }
  void Feed(const std::string& text) {
    ASSERT_EQ(::write(pipe_.get(), text.data(), text.size()), static_cast<ssize_t>(text.size()));
  }
  bool WaitUntilRead() {
    return WaitUntil([&] {
      int unread = 0;
      return ::ioctl(pipe_.get(), FIONREAD, &unread) == 0 && unread == 0;
    });
  }

  UniqueFd pipe_;
};

TEST_F(LivePipeTest, WhatStandsInThePipeIsWrittenWhileItStaysOpen) {
  const auto append = StartOnItsOwnLog();
  Feed(Text({EventLine("a", "x"), EventLine("a", "y")}) + "{\"stream\":\"a\",");
  ASSERT_TRUE(WaitUntil([&] { return ReadBack() == (Strings{"a@0 x", "a@1 y"}); }));
  Feed("\"type\":\"z\"}\n");
  ASSERT_TRUE(WaitUntil([&] { return ReadBack().size() == 3; }));
  EXPECT_TRUE(append->Running());
  pipe_ = UniqueFd();
  EXPECT_EQ(append->Wait(), 0) << append->Errors();
  EXPECT_EQ(append->Output(), "written 3, already there 0, next line 4\n");
}

TEST_F(LivePipeTest, ARefusedLineWasReadInWhole) {
  const auto append = site_.Start({"append", "--to", "embedded:log", "input"});
  Feed(Text({EventLine("a", "x")}) + "no event\n" + Text({EventLine("a", "y")}) + "{\"str");
  EXPECT_EQ(append->Wait(), 1);
  EXPECT_EQ(append->Output(), "written 1, already there 0, next line 2\n");
  EXPECT_EQ(append->Errors(), "run " + TokenOf(append->Errors()) +
                                  "\ninput:2: column 1: found 'n', wanted an object that holds one "
                                  "event\nto go on: --resume " +
                                  TokenOf(append->Errors()) + " --from-line 2\n");
}

TEST_F(LivePipeTest, ASignalWritesWhatWasTakenAndSaysWhichLineComesNext) {
  for (const auto& [signal, name] : {std::pair{SIGINT, "SIGINT"},
                                     {SIGTERM, "SIGTERM"},
                                     {SIGHUP, "SIGHUP"},
                                     {SIGXCPU, "SIGXCPU"}}) {
    const std::string log = std::string("log") + name;
    const auto append = site_.Start({"append", "--to", "embedded:" + log, "input"});
    Feed(Text({EventLine("a", "x"), EventLine("b", "y"), EventLine("c", "z")}) + "{\"str");
    ASSERT_TRUE(WaitUntilRead());
    append->Signal(signal);
    EXPECT_EQ(append->Wait(), 1);
    EXPECT_EQ(append->Output(), "written 3, already there 0, next line 4\n");
    EXPECT_EQ(append->Errors(), "run " + TokenOf(append->Errors()) + "\nstopped by " + name +
                                    "\nline 4 was read in part and is not written\nto go on: "
                                    "--resume " +
                                    TokenOf(append->Errors()) + " --from-line 4\n");
  }
}

// The kernel then refuses even to wait.
TEST_F(LivePipeTest, WaitsOutALimitOfDescriptorsThatWasLowered) {
  const auto append = StartOnItsOwnLog();
  Feed(Text({EventLine("a", "x")}));
  ASSERT_TRUE(WaitUntil([&] { return ReadBack() == (Strings{"a@0 x"}); }));
  rlimit before{};
  ASSERT_EQ(::prlimit(append->pid(), RLIMIT_NOFILE, nullptr, &before), 0);
  const rlimit one{1, before.rlim_max};
  ASSERT_EQ(::prlimit(append->pid(), RLIMIT_NOFILE, &one, nullptr), 0);
  Feed(Text({EventLine("a", "y")}));  // Ends the wait that was under way.
  ASSERT_TRUE(WaitUntilRead());
  ASSERT_EQ(::prlimit(append->pid(), RLIMIT_NOFILE, &before, nullptr), 0);
  Feed(Text({EventLine("a", "z")}));
  ASSERT_TRUE(WaitUntil([&] { return ReadBack() == (Strings{"a@0 x", "a@1 y", "a@2 z"}); }));
  append->Signal(SIGTERM);
  EXPECT_EQ(append->Wait(), 1);
  EXPECT_EQ(append->Output(), "written 3, already there 0, next line 4\n");
}

TEST_F(LivePipeTest, EndsWhenNobodyReadsItsOutputAnyMore) {
  Feed(Text({EventLine("a", "x"), EventLine("b", "y")}));
  // The reader of its output ends at once.
  const std::string command = "cd " + site_.path().string() +
                              " && " CATCHUP_EXECUTABLE
                              " append --to embedded:log input 2>errors | true";
  EXPECT_EQ(std::system(command.c_str()), 0);
  ASSERT_TRUE(WaitUntil(
      [&] { return ReadFile(site_.file("errors")).find("to go on") != std::string::npos; }));
  const std::string errors = ReadFile(site_.file("errors"));
  EXPECT_THAT(errors, HasSubstr("stopped: nobody reads standard output any more\n"));
  // What it took before it noticed is the machine's affair, that it says so is not.
  EXPECT_THAT(errors, HasSubstr("\nwritten "));
  EXPECT_THAT(errors, HasSubstr(", next line "));
}

// ---- Lines of other makes ----

TEST_F(AppendTest, LineEndsOfOtherSystemsAndAByteOrderMarkAreNoMatter) {
  WriteFile(site_.file("events.jsonl"), "\xEF\xBB\xBF" + EventLine("a", "x") + "\r\n\r\n" +
                                            EventLine("a", "y") + "\r\n" + EventLine("a", "z"));
  const Finished appended = Append();
  EXPECT_EQ(appended.exit, 0) << appended.err;
  EXPECT_EQ(appended.out, "written 3, already there 0, next line 5\n");
  EXPECT_EQ(ReadBack(), (Strings{"a@0 x", "a@1 y", "a@2 z"}));
}

TEST_F(AppendTest, LinesThatCannotBeEventsAreNamed) {
  const std::string good = EventLine("a", "x");
  for (const auto& [bad, text] :
       {std::pair<std::string, std::string>{std::string("{\0}", 3), "column 2: found byte 0x00"},
        {"\xEF\xBB\xBF" + good, "column 1: found byte 0xEF"},
        {"\xFF\xFE{", "column 1: found byte 0xFF"},
        {"{\"stream\":\"a\",\"type\":\"\"}", "the type is empty"},
        {good + good, "column 36: found '{', wanted the end of the line"}}) {
    WriteFile(site_.file("events.jsonl"), good + "\n" + bad + "\n" + good);
    const Finished appended = Append();
    EXPECT_EQ(appended.exit, 1);
    EXPECT_EQ(appended.out, "written 1, already there 0, next line 2\n");
    EXPECT_THAT(appended.err, HasSubstr("events.jsonl:2: " + text));
  }
}

TEST_F(AppendTest, AFileInPlaceOfTheLogIsNamed) {
  WriteFile(site_.file("events.jsonl"), Text({EventLine("a", "x")}));
  const Finished appended =
      site_.Catchup({"append", "--to", "embedded:events.jsonl", "events.jsonl"});
  EXPECT_EQ(appended.exit, 1);
  EXPECT_THAT(appended.err, HasSubstr("it is no directory, wanted the directory of the log"));
}

TEST_F(AppendTest, ALinkToNothingInPlaceOfTheLogIsNamed) {
  WriteFile(site_.file("events.jsonl"), Text({EventLine("a", "x")}));
  std::filesystem::create_symlink("gone", site_.file("log"));
  const Finished appended = site_.Catchup({"append", "--to", "embedded:log", "events.jsonl"});
  EXPECT_EQ(appended.exit, 1);
  EXPECT_THAT(appended.err, HasSubstr("log is a link to nothing, wanted a directory"));
}

TEST_F(AppendTest, StandardInputIsAFileToo) {
  const Finished appended = site_.Catchup({"append", "--to", "embedded:log", "-"}, kPatience,
                                          Text({EventLine("a", "x"), EventLine("a", "y")}));
  EXPECT_EQ(appended.exit, 0) << appended.err;
  EXPECT_EQ(appended.out, "written 2, already there 0, next line 3\n");
  EXPECT_EQ(ReadBack(), (Strings{"a@0 x", "a@1 y"}));
}

TEST_F(AppendTest, AFileThatIsNotThereOrIsAFolderIsNamed) {
  const Finished absent = site_.Catchup({"append", "--to", "embedded:log", "absent.jsonl"});
  EXPECT_EQ(absent.exit, 1);
  EXPECT_THAT(absent.err, HasSubstr("absent.jsonl"));
  const Finished folder = site_.Catchup({"append", "--to", "embedded:log", "."});
  EXPECT_EQ(folder.exit, 1);
  EXPECT_THAT(folder.err, HasSubstr("directory"));
}

TEST_F(AppendTest, AUriThatCannotBeReadIsAUsageError) {
  WriteFile(site_.file("events.jsonl"), Text({EventLine("a", "x")}));
  const Finished appended = site_.Catchup({"append", "--to", "nonsense://x", "events.jsonl"});
  EXPECT_EQ(appended.exit, 2);
  EXPECT_THAT(appended.err, HasSubstr("--to"));
}

TEST_F(AppendTest, AnUnreachableServerFailsWithItsAddress) {
  WriteFile(site_.file("events.jsonl"), Text({EventLine("a", "x")}));
  const Finished appended =
      site_.Catchup({"append", "--to", "kurrentdb://127.0.0.1:1?tls=false", "events.jsonl"});
  EXPECT_EQ(appended.exit, 1);
  EXPECT_EQ(appended.out, "written 0, already there 0, next line 1\n");
  EXPECT_THAT(appended.err, HasSubstr("127.0.0.1:1"));
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
  EXPECT_THAT(uri_, HasSubstr("kurrentdb://127.0.0.1:"));
  EXPECT_THAT(server_->Errors(), HasSubstr("not for production"));
  WriteFile(site_.file("events.jsonl"), Text({EventLine("a", "x"), EventLine("a", "y")}));
  const Finished appended = site_.Catchup({"append", "--to", uri_, "events.jsonl"});
  EXPECT_EQ(appended.exit, 0) << appended.err;
  EXPECT_EQ(appended.out, "written 2, already there 0, next line 3\n");
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

// A new server remembers no ids: what is there is found out by looking.
TEST_F(DevServerTest, ResumeAfterAServersCrashWritesTheRestAndNothingTwice) {
  Serve();
  WriteFile(site_.file("events.jsonl"), Text(ManyLines()));
  const auto append = site_.Start({"append", "--to", uri_, "events.jsonl"});
  ASSERT_TRUE(WaitUntil([&] {
    std::error_code absent;
    return std::filesystem::file_size(site_.file("served/events.db-wal"), absent) > 200'000 &&
           !absent;
  }));
  server_->Signal(SIGKILL);
  server_->Wait();
  const int exit = append->Wait();
  const std::string said = append->Output();
  ASSERT_EQ(exit, said.find("next line 20001") == std::string::npos ? 1 : 0);
  const std::string line = said.substr(said.find("next line ") + 10);
  Serve();
  const Finished rest =
      site_.Catchup({"append", "--to", uri_, "--resume", TokenOf(append->Errors()), "--from-line",
                     line.substr(0, line.size() - 1), "events.jsonl"});
  EXPECT_EQ(rest.exit, 0) << rest.err;
  site_.Configure(JsonlGroup("all"), uri_);
  EXPECT_EQ(site_.RunUntilCaughtUp().exit, 0);
  EXPECT_EQ(Written(site_, "all").size(), 20'000u);
}

TEST_F(DevServerTest, ASecondServerOnTheSameDataNamesTheFirst) {
  Serve();
  const Finished second =
      site_.Catchup({"dev-server", "--listen", "127.0.0.1:0", "--data", "served"});
  EXPECT_EQ(second.exit, 1);
  EXPECT_THAT(second.err, HasSubstr(std::to_string(server_->pid())));
}

TEST_F(DevServerTest, AnAppendAboveItsLimitIsRefused) {
  Serve({"--max-append-size", "1KiB"});
  WriteFile(site_.file("events.jsonl"),
            Text({EventLine("a", "small"),
                  EventLine("b", "large", '"' + std::string(4'000, 'x') + '"')}));
  const Finished appended = site_.Catchup({"append", "--to", uri_, "events.jsonl"});
  EXPECT_EQ(appended.exit, 1);
  EXPECT_EQ(appended.out, "written 1, already there 0, next line 2\n");
  // As a server counts: a type twice.
  EXPECT_THAT(appended.err, HasSubstr("\nline 2, an event of 4012 bytes: append to stream b: "));
  EXPECT_THAT(appended.err,
              HasSubstr("MaximumAppendSizeExceeded: it takes 1024 bytes in one append\n"));
}

// What gRPC itself does not take comes back without a word of why.
TEST_F(DevServerTest, AnAppendAboveWhatAConnectionTakesNamesItsLine) {
  Serve();
  WriteFile(site_.file("events.jsonl"),
            Text({EventLine("a", "small"),
                  EventLine("b", "large", '"' + std::string((17u << 20) - 300, 'x') + '"')}));
  const Finished appended = site_.Catchup({"append", "--to", uri_, "events.jsonl"});
  EXPECT_EQ(appended.exit, 1);
  EXPECT_EQ(appended.out, "written 1, already there 0, next line 2\n");
  EXPECT_THAT(appended.err,
              HasSubstr("\nline 2, an event of 17825504 bytes: append to stream b: "));
}

TEST_F(DevServerTest, OptionsThatCannotBeAreUsageErrors) {
  EXPECT_EQ(site_.Catchup({"dev-server", "--listen", "nowhere"}).exit, 2);
  for (const auto& [size, hint] : {std::pair("17MiB", ""),
                                   {"0B", ""},
                                   {"5", ""},
                                   {"1mb", ", as \"1MiB\""},
                                   {"0.5MiB", ", as \"512KiB\""}}) {
    const Finished refused = site_.Catchup({"dev-server", "--max-append-size", size});
    EXPECT_EQ(refused.exit, 2);
    EXPECT_EQ(refused.err, "--max-append-size " + std::string(size) +
                               ": wanted a size from \"1B\" to \"16MiB\", an integer and B, KiB, "
                               "MiB or GiB" +
                               hint + "\n");
  }
}

// A library that lacks a descriptor aborts, and leaves a core instead of a reason.
TEST_F(AppendTest, OfTooFewDescriptorsItSaysSoAndExits) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "sanitizers need descriptors of their own to look at an object";
#endif
  WriteFile(site_.file("events.jsonl"), Text({EventLine("a", "x")}));
  const Strings commands = {"append --to 'kurrentdb://127.0.0.1:1?tls=false' events.jsonl",
                            "dev-server --listen 127.0.0.1:0 --data served"};
  // Whatever else this test was started with would count too.
  const std::string alone =
      "for fd in /proc/self/fd/*; do [ \"${fd##*/}\" -le 2 ] || eval \"exec ${fd##*/}>&-\"; done; ";
  for (const std::string& command : commands) {
    for (int limit = 4; limit <= 8; ++limit) {
      SCOPED_TRACE(command + " with " + std::to_string(limit));
      Process process({"/bin/bash", "-c",
                       alone + "ulimit -n " + std::to_string(limit) + "; exec \"$0\" " + command,
                       CATCHUP_EXECUTABLE},
                      {site_.path(), {}, ""});
      EXPECT_EQ(process.Wait(), 1);
      EXPECT_THAT(process.Errors(), HasSubstr("8 descriptors are needed to begin with, "));
    }
  }
}

}  // namespace
}  // namespace catchup::e2e
