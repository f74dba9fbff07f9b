#include "tests/e2e/postgres_server.h"

#include <gtest/gtest.h>
#include <pwd.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <sstream>

namespace catchup::e2e {
namespace {

namespace fs = std::filesystem;

constexpr const char* kServerUser = "postgres";
constexpr const char* kSuperuser = "postgres";
constexpr const char* kPluginUser = "plugin";

// Enough for the plugin and for what a test asks at once. The last ones are the superuser's.
constexpr const char* kConnections = "max_connections = 6\nsuperuser_reserved_connections = 3\n";

// The newest of Debian's; it puts each version in a folder of its own, outside the search path.
fs::path Programs() {
  std::error_code absent;
  fs::path newest;
  for (const auto& version : fs::directory_iterator("/usr/lib/postgresql", absent)) {
    const fs::path programs = version.path() / "bin";
    if (access((programs / "postgres").c_str(), X_OK) == 0 &&
        access((programs / "initdb").c_str(), X_OK) == 0) {
      newest = std::max(newest, programs);
    }
  }
  return newest;
}

}  // namespace

std::string PostgresServer::WhyNot() {
  if (Programs().empty()) {
    return "found no /usr/lib/postgresql/*/bin/postgres, wanted Debian's package postgresql-15";
  }
  if (geteuid() == 0 && getpwnam(kServerUser) == nullptr) {
    return "PostgreSQL does not run as root, and there is no user " + std::string(kServerUser);
  }
  return "";
}

PostgresServer::PostgresServer() {
  if (geteuid() == 0) {
    const passwd* const user = getpwnam(kServerUser);
    EXPECT_EQ(chown(folder_.path().c_str(), user->pw_uid, user->pw_gid), 0);
  }
  const auto made =
      Run({Programs() / "initdb", "--pgdata", folder_ / "data", "--username", kSuperuser, "--auth",
           "trust", "--encoding", "UTF8", "--locale", "C", "--no-sync", "--no-instructions"});
  EXPECT_EQ(made->Wait(), 0) << made->Output() << made->Errors();
  // What it has said it has done outlives its own death, which is all that a test does to it.
  std::ofstream(folder_ / "data/postgresql.conf", std::ios::app)
      << kConnections << "listen_addresses = ''\nunix_socket_directories = '"
      << folder_.path().string()
      << "'\nidle_in_transaction_session_timeout = '1s'\nshared_buffers = "
         "'16MB'\nclient_connection_check_interval = '100ms'\nfsync = "
         "off\nautovacuum = off\nmax_wal_senders = 0\n"
         "wal_level = minimal\n";
  Start();
  Ask("CREATE USER " + std::string(kPluginUser));
  Ask("GRANT ALL ON SCHEMA public TO " + std::string(kPluginUser));
}

PostgresServer::~PostgresServer() {
  if (runs()) {
    Stop(SIGQUIT);
  }
}

std::unique_ptr<Process> PostgresServer::Run(std::vector<std::string> arguments,
                                             const std::string& input) {
  if (geteuid() == 0) {
    arguments.insert(arguments.begin(),
                     {"/usr/bin/setpriv", "--reuid", kServerUser, "--regid", kServerUser,
                      "--clear-groups", "--pdeathsig", "KILL", "--"});
  }
  return std::make_unique<Process>(std::move(arguments),
                                   Process::Options{folder_.path(), {{"LC_ALL", "C"}}, input});
}

void PostgresServer::Start() {
  // One that was killed leaves processes that a new one waits for, by refusing to start.
  const bool answers = WaitUntil([this] {
    if (server_ == nullptr || !server_->Running()) {
      server_ = Run({Programs() / "postgres", "-D", folder_ / "data"});
    }
    return !Psql(kSuperuser, "SELECT 1").empty();
  });
  EXPECT_TRUE(answers) << server_->Errors();
}

void PostgresServer::Stop(int signal) {
  server_->Signal(signal);
  (void)server_->Wait();
  server_.reset();
}

std::vector<std::string> PostgresServer::Psql(const std::string& user,
                                              const std::string& sql) const {
  Process psql({Programs() / "psql", "--no-psqlrc", "--quiet", "--no-align", "--tuples-only",
                "--set", "ON_ERROR_STOP=1", "--host", folder_.path(), "--username", user,
                "--dbname", "postgres", "--command", sql},
               {folder_.path(), {{"LC_ALL", "C"}}, ""});
  (void)psql.Wait();
  std::vector<std::string> rows;
  std::istringstream lines(psql.Output());
  for (std::string row; std::getline(lines, row);) {
    rows.push_back(row);
  }
  return rows;
}

std::vector<std::string> PostgresServer::Ask(const std::string& sql) {
  return Psql(kSuperuser, sql);
}

std::unique_ptr<Process> PostgresServer::Occupy(const std::string& user) {
  return std::make_unique<Process>(
      std::vector<std::string>{Programs() / "psql", "--no-psqlrc", "--host", folder_.path(),
                               "--username", user, "--dbname", "postgres", "--command",
                               "SELECT pg_sleep(3600)"},
      Process::Options{folder_.path(), {{"LC_ALL", "C"}}, ""});
}

std::string PostgresServer::conninfo() const {
  return "host=" + folder_.path().string() + " user=" + kPluginUser +
         " dbname=postgres connect_timeout=5";
}

}  // namespace catchup::e2e
