#include "host/config/tls_files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <string>

#include "tests/test_files.h"

namespace catchup {
namespace {

using testing::StartsWith;

constexpr char kCertificate[] = "-----BEGIN CERTIFICATE-----\nMII=\n-----END CERTIFICATE-----\n";
constexpr char kKey[] = "-----BEGIN EC PRIVATE KEY-----\nMII=\n-----END EC PRIVATE KEY-----\n";

class TlsFilesTest : public testing::Test {
 protected:
  TlsFilesTest() {
    settings_.ca_file = folder_ / "ca.pem";
    settings_.certificate_file = folder_ / "mine.pem";
    settings_.key_file = folder_ / "mine.key";
    WriteFile(settings_.ca_file, std::string("a comment\n") + kCertificate + kCertificate);
    WriteFile(settings_.certificate_file, kCertificate);
    WriteFile(settings_.key_file, kKey);
    SetMode(0640);
  }

  void SetMode(unsigned mode) const {
    std::filesystem::permissions(settings_.key_file, static_cast<std::filesystem::perms>(mode));
  }
  std::string Fault() const { return CheckTlsFiles(settings_).message(); }

  const TemporaryFolder folder_;
  ConnectionSettings settings_;
};

TEST_F(TlsFilesTest, TakesCertificatesAndAKey) {
  EXPECT_EQ(Fault(), "");
  SetMode(0400);
  EXPECT_EQ(Fault(), "");
}

TEST_F(TlsFilesTest, NamesAFileThatIsNotThere) {
  std::filesystem::remove(settings_.ca_file);
  EXPECT_THAT(Fault(), StartsWith("tlsCaFile: " + settings_.ca_file.string() +
                                  ": cannot open it: No such file or directory"));
  settings_.ca_file.clear();
  std::filesystem::remove(settings_.key_file);
  EXPECT_THAT(Fault(), StartsWith("userKeyFile: " + settings_.key_file.string() + ": cannot open"));
}

TEST_F(TlsFilesTest, NamesAFileThatHoldsSomethingElse) {
  WriteFile(settings_.certificate_file, kKey);
  EXPECT_EQ(Fault(),
            "userCertFile: " + settings_.certificate_file.string() +
                ": no certificate in it: wanted \"-----BEGIN CERTIFICATE-----\" and its end");
  WriteFile(settings_.certificate_file, "-----BEGIN CERTIFICATE-----\nMII");
  EXPECT_NE(Fault(), "");
  settings_.certificate_file = folder_.path();
  EXPECT_EQ(Fault(), "userCertFile: " + folder_.path().string() +
                         ": it is a directory: wanted a file with certificates in PEM");
  settings_.certificate_file.clear();
  WriteFile(settings_.key_file, kCertificate);
  EXPECT_EQ(Fault(),
            "userKeyFile: " + settings_.key_file.string() +
                ": no private key in it: wanted \"-----BEGIN PRIVATE KEY-----\" and its end");
}

TEST_F(TlsFilesTest, TakesNoKeyThatOthersMayReadOrThatNeedsAPassphrase) {
  SetMode(0644);
  EXPECT_EQ(Fault(), "userKeyFile: " + settings_.key_file.string() +
                         ": its mode is 0644: wanted no access for others, as by chmod o-rwx");
  SetMode(0600);
  WriteFile(settings_.key_file,
            "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMII=\n-----END ENCRYPTED PRIVATE KEY-----\n");
  EXPECT_EQ(Fault(), "userKeyFile: " + settings_.key_file.string() +
                         ": the key has a passphrase: wanted one without, as by `openssl pkey`");
}

TEST_F(TlsFilesTest, LooksAtNothingWithoutTls) {
  std::filesystem::remove(settings_.ca_file);
  settings_.tls = false;
  EXPECT_EQ(Fault(), "");
}

}  // namespace
}  // namespace catchup
