#include "host/engine/classifier.h"

#include <gtest/gtest.h>

#include "catchup/plugin.h"

namespace catchup {
namespace {

TEST(ClassifierTest, TheStatusDecidesWhereItSaysSomething) {
  const Classifier classifier;
  EXPECT_EQ(classifier.Classify(CATCHUP_RETRY, "invalid"), FailureClass::kInfrastructure);
  EXPECT_EQ(classifier.Classify(CATCHUP_REJECT, "timeout"), FailureClass::kDomain);
  EXPECT_EQ(classifier.Classify(CATCHUP_FATAL, "timeout"), FailureClass::kFatal);
  EXPECT_EQ(classifier.Classify(17, "timeout"), FailureClass::kContract);
  EXPECT_EQ(classifier.Classify(-1, ""), FailureClass::kContract);
}

TEST(ClassifierTest, BesideFailedTheTextDecides) {
  const Classifier classifier;
  EXPECT_EQ(classifier.Classify(CATCHUP_FAILED, "Validation of x failed"),
            FailureClass::kDomainText);
  EXPECT_EQ(classifier.Classify(CATCHUP_FAILED, "ERROR: NAME RESOLUTION"),
            FailureClass::kInfrastructure);
  EXPECT_EQ(classifier.Classify(CATCHUP_FAILED, "oops"), FailureClass::kUnknown);
  EXPECT_EQ(classifier.Classify(CATCHUP_FAILED, ""), FailureClass::kUnknown);
}

// To wait is safe, to write a letter is not.
TEST(ClassifierTest, InfrastructureWinsWhereBothMatch) {
  const Classifier classifier;
  EXPECT_EQ(classifier.Classify(CATCHUP_FAILED, "invalid connection"),
            FailureClass::kInfrastructure);
}

// What libpq 15 says of a server that is not there, not yet or not any more, or is out of
// something.
TEST(ClassifierTest, WhatPostgresqlSaysOfItselfIsInfrastructure) {
  const Classifier classifier;
  for (const char* text :
       {"could not connect to server: Connection refused",
        "connection to server on socket \"/run/.s.PGSQL.5432\" failed: No such file or directory",
        "connection to server at \"db\" (10.0.0.1), port 5432 failed: No route to host",
        "connection to server at \"db\" failed: FATAL:  role \"orders\" does not exist",
        "could not translate host name \"db\" to address: Temporary failure in name resolution",
        "FATAL:  the database system is shutting down",
        "FATAL:  the database system is starting up",
        "FATAL:  the database system is in recovery mode",
        "FATAL:  terminating connection due to administrator command",
        "WARNING:  terminating connection because of crash of another server process",
        "server closed the connection unexpectedly",
        "no connection to the server",
        "could not receive data from server: Connection timed out",
        "SSL connection has been closed unexpectedly",
        "ERROR:  cannot execute INSERT in a read-only transaction",
        "FATAL:  sorry, too many clients already",
        "FATAL:  remaining connection slots are reserved for non-replication superuser connections",
        "FATAL:  too many connections for role \"orders\"",
        "ERROR:  deadlock detected",
        "ERROR:  current transaction is aborted, commands ignored until end of transaction block",
        "ERROR:  canceling statement due to lock timeout",
        "ERROR:  canceling statement due to statement timeout",
        "ERROR:  could not serialize access due to concurrent update",
        "ERROR:  could not extend file \"base/5/1\": No space left on device"}) {
    EXPECT_EQ(classifier.Classify(CATCHUP_FAILED, text), FailureClass::kInfrastructure) << text;
  }
}

// No rule knows these, so they are in doubt, and heal.
TEST(ClassifierTest, SomeOfWhatPostgresqlSaysIsUnknown) {
  const Classifier classifier;
  for (const char* text :
       {"SSL SYSCALL error: EOF detected", "SSL error: unexpected eof while reading",
        "could not translate host name \"db\" to address: Name or service not known",
        "ERROR:  canceling statement due to user request",
        "ERROR:  canceling statement due to conflict with recovery",
        "ERROR:  permission denied for table totals", "ERROR:  relation \"totals\" does not exist",
        "ERROR:  out of shared memory", "ERROR:  cached plan must not change result type"}) {
    EXPECT_EQ(classifier.Classify(CATCHUP_FAILED, text), FailureClass::kUnknown) << text;
  }
  EXPECT_EQ(classifier.Classify(CATCHUP_FAILED,
                                "ERROR:  duplicate key value violates unique constraint \"pk\""),
            FailureClass::kDomainText);
}

TEST(ClassifierTest, RulesOfOnesOwnTakeThePlaceOfTheBuiltInOnes) {
  std::size_t bad = 0;
  const auto domain = TextRules::Compile({"re:code [0-9]{3}$", "Oops"}, &bad);
  ASSERT_TRUE(domain.ok());
  const Classifier classifier(*domain, TextRules());
  EXPECT_EQ(classifier.Classify(CATCHUP_FAILED, "code 123"), FailureClass::kDomainText);
  EXPECT_EQ(classifier.Classify(CATCHUP_FAILED, "code 12"), FailureClass::kUnknown);
  EXPECT_EQ(classifier.Classify(CATCHUP_FAILED, "OOPS"), FailureClass::kDomainText);
  EXPECT_EQ(classifier.Classify(CATCHUP_FAILED, "timeout"), FailureClass::kUnknown);
}

TEST(TextRulesTest, ABadRuleIsNamedByItsIndex) {
  std::size_t bad = 0;
  const auto pattern = TextRules::Compile({"fine", "re:(", "re:["}, &bad);
  EXPECT_FALSE(pattern.ok());
  EXPECT_EQ(bad, 1u);
  EXPECT_NE(pattern.status().message().find("missing )"), std::string::npos)
      << pattern.status().message();
  EXPECT_FALSE(TextRules::Compile({""}, &bad).ok());
  EXPECT_FALSE(TextRules::Compile({"re:"}, &bad).ok());
}

}  // namespace
}  // namespace catchup
