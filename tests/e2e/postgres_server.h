#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "tests/e2e/harness.h"
#include "tests/test_files.h"

namespace catchup::e2e {

// A PostgreSQL of the test's own, in a temporary folder and on a Unix socket there, so that it
// meets no other on the machine. Run as the user `postgres` when the test is root's, since
// PostgreSQL refuses root. Few connections are to be had, so that they can be used up.
//
// For one thread. Ends, and takes its folder along, with this.
class PostgresServer {
 public:
  // Why there can be none on this machine; empty if there can.
  static std::string WhyNot();

  // Makes it and starts it; a failure of the test if that does not work.
  PostgresServer();
  ~PostgresServer();
  PostgresServer(const PostgresServer&) = delete;
  PostgresServer& operator=(const PostgresServer&) = delete;

  // Until it answers.
  void Start();
  // SIGINT: sessions are ended, then it ends. SIGQUIT: it ends at once. SIGKILL.
  void Stop(int signal);
  bool runs() const { return server_ != nullptr; }

  // As the superuser, for whom connections are kept back: the rows, columns apart by '|'.
  std::vector<std::string> Ask(const std::string& sql);
  // A session that lasts until its process goes.
  std::unique_ptr<Process> Occupy(const std::string& user = "plugin");

  // For an ordinary user.
  std::string conninfo() const;

 private:
  std::unique_ptr<Process> Run(std::vector<std::string> arguments, const std::string& input = {});
  std::vector<std::string> Psql(const std::string& user, const std::string& sql) const;

  const TemporaryFolder folder_;
  std::unique_ptr<Process> server_;
};

}  // namespace catchup::e2e
