#pragma once

#include <gtest/gtest.h>
#include <signal.h>

#include <memory>
#include <string>
#include <string_view>

#include "tests/e2e/harness.h"

namespace catchup::e2e {

// `catchup dev-server` over a site's embedded log: a process that can be ended, and comes back
// where it was.
class DevServer {
 public:
  explicit DevServer(Site* site) : site_(*site) {}

  // Serves the log on the port it had before, if it had one.
  void Serve() {
    process_ = site_.Start(
        {"dev-server", "--listen", address_, "--data", "log", "--max-append-size", "16MiB"});
    ASSERT_TRUE(WaitUntil([&] { return process_->Output().find('\n') != std::string::npos; }))
        << process_->Errors();
    constexpr std::size_t kScheme = std::string_view("kurrentdb://").size();
    uri_ = process_->Output().substr(0, process_->Output().find('\n'));
    address_ = uri_.substr(kScheme, uri_.find('?') - kScheme);
  }

  void End(int signal) {
    process_->Signal(signal);
    process_->Wait();
  }
  void Kill() { End(SIGKILL); }
  // It stands still: its connections stay, and so does its port, but nobody answers.
  void Freeze() {
    process_->Signal(SIGSTOP);
    ASSERT_TRUE(WaitUntil([&] { return process_->Stopped(); }));
  }
  void Thaw() { process_->Signal(SIGCONT); }

  // Where it was served last: "127.0.0.1:PORT", and the connection string for it.
  const std::string& address() const { return address_; }
  const std::string& uri() const { return uri_; }

 private:
  Site& site_;
  std::string address_ = "127.0.0.1:0";
  std::string uri_;
  std::unique_ptr<Process> process_;
};

}  // namespace catchup::e2e
