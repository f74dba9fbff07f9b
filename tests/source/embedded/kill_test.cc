// What the log promises across a kill of its process, with a real process and a real kill.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <fstream>
#include <map>
#include <random>
#include <string>
#include <thread>

#include "host/base/unique_fd.h"
#include "host/source/embedded/data_directory.h"
#include "host/source/embedded/log_server.h"
#include "tests/source/embedded/log_client.h"
#include "tests/source/embedded/server_process.h"
#include "tests/test_files.h"

namespace catchup::embedded {
namespace {

using testing::HasSubstr;

using test::Child;
using test::LogClient;

// Appends of several events each, as fast as they are acknowledged, until the server dies. The
// stream says nothing; each event's data is "append:index:size".
int AppendUntilKilled(const std::string& address, int first_append,
                      std::atomic<int>* acknowledged) {
  LogClient client(address);
  for (int append = first_append;; ++append) {
    std::vector<LogClient::Event> events;
    const int size = 1 + append % 7;
    for (int i = 0; i < size; ++i) {
      events.push_back(
          {"t", std::to_string(append) + ":" + std::to_string(i) + ":" + std::to_string(size)});
    }
    test::wire::AppendResp reply;
    if (!client.Append("s-" + std::to_string(append % 5), events, &reply).ok()) {
      return append;
    }
    ++*acknowledged;
  }
}

struct Parsed {
  int append = 0;
  int index = 0;
  int size = 0;
};

Parsed Parse(const std::string& data) {
  Parsed parsed;
  EXPECT_EQ(std::sscanf(data.c_str(), "%d:%d:%d", &parsed.append, &parsed.index, &parsed.size), 3);
  return parsed;
}

TEST(KilledLogTest, HoldsEveryAcknowledgedAppendWholeAndNoneInPart) {
  const TemporaryFolder directory;
  std::mt19937 random(20261124);
  int next = 0;
  int least = 0;  // Appends below this were acknowledged, in every round.
  std::map<int, int> unknown;
  for (int round = 0; round < 5; ++round) {
    Child child(directory.path());
    const std::string address = Child::Endpoint(directory.path());
    ASSERT_NE(address, "");
    std::atomic<int> acknowledged = 0;
    std::atomic<int> failed = -1;
    std::thread writer([&] { failed = AppendUntilKilled(address, next, &acknowledged); });
    const int enough = 20 + static_cast<int>(random() % 60);
    while (acknowledged < enough && failed < 0) {
      std::this_thread::yield();
    }
    child.Kill();
    writer.join();
    ASSERT_GE(acknowledged, enough) << "the server failed before it was killed";
    least = failed;
    unknown[failed] = 0;  // In flight at the kill: there or not, but not in part.
    next = failed + 1;
  }

  ServerOptions options;
  options.directory = directory.path();
  auto server = EmbeddedServer::Start(options);
  ASSERT_TRUE(server.ok()) << server.status().message();
  LogClient client((*server)->address());
  std::vector<test::wire::ReadResp> frames;
  ASSERT_TRUE(client.Read(LogClient::ReadAll(), &frames).ok());

  std::map<int, int> events;  // By append.
  std::uint64_t last_position = 0;
  int last_append = -1;
  int want_index = 0;
  for (const auto& frame : frames) {
    const auto& event = frame.event().event();
    EXPECT_GT(event.commit_position(), last_position);
    last_position = event.commit_position();
    const Parsed parsed = Parse(event.data());
    if (parsed.append != last_append) {
      EXPECT_GT(parsed.append, last_append);
      EXPECT_EQ(want_index, last_append < 0 ? 0 : 1 + last_append % 7) << "append in part";
      last_append = parsed.append;
      want_index = 0;
    }
    EXPECT_EQ(parsed.index, want_index++);
    ++events[parsed.append];
  }
  EXPECT_EQ(want_index, 1 + last_append % 7) << "append in part";
  for (int append = 0; append < least; ++append) {
    if (!unknown.contains(append)) {
      EXPECT_EQ(events[append], 1 + append % 7) << "append " << append << " was acknowledged";
    }
  }
}

// The id is on disk, so the repetition is recognised by a process that never saw the first one.
TEST(KilledLogTest, RecognisesARepetitionAfterTheKill) {
  const TemporaryFolder directory;
  const std::vector<LogClient::Event> events = {{}, {}};
  std::uint64_t position = 0;
  {
    Child child(directory.path());
    LogClient client(Child::Endpoint(directory.path()));
    position = client.MustAppend("orders", events);
    child.Kill();
  }
  Child child(directory.path());
  LogClient client(Child::Endpoint(directory.path()));

  EXPECT_EQ(client.MustAppend("orders", events), position);
}

TEST(OwnershipTest, RefusesASecondOwnerAndNamesTheFirst) {
  const TemporaryFolder directory;
  Child child(directory.path());
  (void)Child::Endpoint(directory.path());

  ServerOptions options;
  options.directory = directory.path();
  auto second = EmbeddedServer::Start(options);

  ASSERT_FALSE(second.ok());
  EXPECT_EQ(second.status().code(), Status::Code::kInUse);
  EXPECT_THAT(second.status().message(), HasSubstr("process " + std::to_string(child.pid())));
}

TEST(OwnershipTest, IsNotRefusedBecauseSomebodyAsksWhoOwnsIt) {
  const TemporaryFolder directory;
  ASSERT_TRUE(DataDirectory::Own(directory.path()).ok());  // Leaves a lock file to ask.
  std::atomic<bool> done = false;
  std::atomic<int> asked = 0;
  std::thread asker([&] {
    while (!done) {
      (void)DataDirectory::LiveEndpoint(directory.path(), std::chrono::milliseconds(0));
      ++asked;
    }
  });
  std::string refusal;
  for (int tries = 0; (tries < 500 || asked < 500) && refusal.empty(); ++tries) {
    auto owned = DataDirectory::Own(directory.path());
    if (owned.ok()) {
      (void)owned->WriteEndpoint("127.0.0.1:1");
    } else {
      refusal = owned.status().message();
    }
  }
  done = true;
  asker.join();
  EXPECT_EQ(refusal, "");
}

TEST(OwnershipTest, UsesTheEndpointOfALiveOwner) {
  const TemporaryFolder directory;
  Child child(directory.path());
  const std::string address = Child::Endpoint(directory.path());

  ServerOptions options;
  options.directory = directory.path();
  auto endpoint = OpenEmbedded(options);

  ASSERT_TRUE(endpoint.ok()) << endpoint.status().message();
  EXPECT_EQ(endpoint->address, address);
  EXPECT_EQ(endpoint->server, nullptr);
}

// A killed owner cannot remove its endpoint, so one that is there proves nothing.
TEST(OwnershipTest, IsNotMisledByTheEndpointOfADeadOwner) {
  const TemporaryFolder directory;
  std::string dead;
  {
    Child child(directory.path());
    dead = Child::Endpoint(directory.path());
    child.Kill();
  }
  ASSERT_TRUE(std::filesystem::exists(directory.path() / "endpoint"));

  ServerOptions options;
  options.directory = directory.path();
  auto endpoint = OpenEmbedded(options);

  ASSERT_TRUE(endpoint.ok()) << endpoint.status().message();
  ASSERT_NE(endpoint->server, nullptr);
  std::ifstream file(directory.path() / "endpoint");
  std::string text;
  std::getline(file, text);
  EXPECT_EQ(text, endpoint->address);
  LogClient client(endpoint->address);
  EXPECT_GT(client.MustAppend("orders", {{}}), 0u);
}

TEST(OwnershipTest, GivesUpTheDirectoryAndTheEndpointAtStop) {
  const TemporaryFolder directory;
  ServerOptions options;
  options.directory = directory.path();
  auto first = EmbeddedServer::Start(options);
  ASSERT_TRUE(first.ok()) << first.status().message();
  EXPECT_TRUE(std::filesystem::exists(directory.path() / "endpoint"));

  (*first)->Shutdown();

  EXPECT_FALSE(std::filesystem::exists(directory.path() / "endpoint"));
  EXPECT_TRUE(EmbeddedServer::Start(options).ok());
}

}  // namespace
}  // namespace catchup::embedded
