#include "host/base/environment.h"

#include <gtest/gtest.h>

namespace catchup {
namespace {

TEST(EnvironmentTest, ForbidsWhatSteersTheLoaderGrpcProxiesAndTlsInCapitalsOrNot) {
  for (const char* name :
       {"LD_PRELOAD", "ld_preload", "LD_", "GRPC_TRACE", "Grpc_Trace", "HTTPS_PROXY", "https_proxy",
        "Https_Proxy", "_PROXY", "_proxy", "GLIBC_TUNABLES", "SSLKEYLOGFILE", "SslKeyLogFile",
        "CATCHUP_CREDENTIALS", "catchup_credentials"}) {
    EXPECT_TRUE(IsForbiddenVariable(name)) << name;
  }
}

TEST(EnvironmentTest, AllowsWhatOnlyResemblesIt) {
  for (const char* name : {"", "LD", "LDAP_URI", "MY_LD_PATH", "GRPC", "PROXY", "_PROXY_",
                           "MYPROXY", "GLIBC_TUNABLES_", "CATCHUP_CREDENTIALS_2", "PGHOST"}) {
    EXPECT_FALSE(IsForbiddenVariable(name)) << name;
  }
}

}  // namespace
}  // namespace catchup
