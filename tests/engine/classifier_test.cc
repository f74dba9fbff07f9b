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
