#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

#include "host/base/mutex.h"
#include "host/base/secret.h"
#include "host/base/status.h"
#include "host/config/config.h"

namespace catchup {

// A user and a password for a server: one line "user:password" in UTF-8, from a file or from our
// environment. No text of a failure repeats any of it.
//
// A file is read again each time it is asked for, so a new password counts from the next call on.
// Any thread.
class Credentials {
 public:
  // The longest line, which becomes a header.
  static constexpr std::size_t kMaxBytes = 4096;

  // Those of a file that only its owner may write, and that others may not read: 0400 or 0600, for
  // a group that reads it 0440 or 0640. `origin` is what people know it by. Read when asked for.
  static std::shared_ptr<Credentials> OfFile(std::filesystem::path file, std::string origin);
  // Those of `line`, for good.
  static std::shared_ptr<Credentials> OfLine(std::string_view line, std::string origin);

  // The value of the header `authorization`: "Basic " and the line in Base64. kDenied: there are
  // none, and the text says what is wrong and with what.
  Result<std::string> Authorization();

  // Looks again, and counts what it has found that differs from the time before, right or wrong.
  std::uint64_t LookForChange();

  // What that has come to so far.
  std::uint64_t changes() {
    const MutexLock lock(&mutex_);
    return changes_;
  }

  // What is wrong with what was found last; empty: nothing.
  std::string fault() {
    const MutexLock lock(&mutex_);
    return last_fault_;
  }

  const std::string& origin() const { return origin_; }

 private:
  Credentials(std::filesystem::path file, Secret given, std::string origin);

  Result<Secret> Find() const;

  const std::filesystem::path file_;  // Empty: `given_` it is.
  const Secret given_;
  const std::string origin_;

  Mutex mutex_;
  Secret last_ CATCHUP_GUARDED_BY(mutex_);
  std::string last_fault_ CATCHUP_GUARDED_BY(mutex_);
  std::uint64_t changes_ CATCHUP_GUARDED_BY(mutex_) = 0;
};

// The file that `written` names behind `key`, a path as it was written. Somebody may have written
// the secret itself there, so no text of a failure repeats it, and a name that could be a password
// is no part of `origin`. kInvalid for what is no path or could be "user:password".
Result<CredentialsFile> NameCredentialsFile(std::string_view key, const std::string& written);

// What this process is to show a server of `uri`: what is in `named`; else in the file "kurrentdb"
// of the service manager's $CREDENTIALS_DIRECTORY, if there is one; else in $CATCHUP_CREDENTIALS;
// else nothing, which is null, as for an embedded log. It is right at this moment; the text of a
// failure says which one is not, and why.
//
// Takes CATCHUP_CREDENTIALS out of our environment in any case, so that no child has it and nobody
// reads it from /proc. Once, before there are threads that read the environment.
Result<std::shared_ptr<Credentials>> FindCredentials(const SourceUri& uri,
                                                     const CredentialsFile& named);

// What to warn of where a password goes to a server of `uri`: that everybody on the way can read
// it. Empty where nobody can.
std::string WarnOfReadablePassword(const SourceUri& uri);

}  // namespace catchup
