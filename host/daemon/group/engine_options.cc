#include "host/daemon/group/engine_options.h"

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "host/base/failure_rules.h"
#include "host/base/test_seams.h"
#include "host/store/letter.h"

namespace catchup {
namespace {

// The configuration has tried every rule.
TextRules RulesOf(const std::optional<std::vector<std::string>>& rules,
                  std::span<const std::string_view> standard) {
  std::size_t bad = 0;
  return rules.has_value() ? TextRules::Compile(*rules, &bad).value() : TextRules::Of(standard);
}

LetterOrder OrderOf(DeadLettersConfig::Order order) {
  switch (order) {
    case DeadLettersConfig::Order::kStream:
      return LetterOrder::kStream;
    case DeadLettersConfig::Order::kEvent:
      return LetterOrder::kEvent;
    case DeadLettersConfig::Order::kHalt:
      break;
  }
  return LetterOrder::kHalt;
}

}  // namespace

Classifier ClassifierOf(const ClassifyConfig& config) {
  return {RulesOf(config.domain, kDomainRules),
          RulesOf(config.infrastructure, kInfrastructureRules)};
}

EngineOptions OptionsOf(const GroupConfig& config, bool stop_on_caught_up, bool on_probation) {
  EngineOptions options;
  options.lanes = config.lanes;
  options.checkpoint_batch_size = config.checkpoint_batch_size;
  options.checkpoint_interval = config.checkpoint_interval * WaitSpeed();
  options.window_events = config.window_events;
  options.window_bytes = config.window_bytes;
  options.stop_on_caught_up = stop_on_caught_up;
  options.on_probation = on_probation;
  options.drain_timeout = config.drain_timeout * WaitSpeed();
  options.handler_timeout = config.handler_timeout * WaitSpeed();
  options.max_retries = config.max_retries;
  options.retry = {config.retry_delay * WaitSpeed(), config.retry_max_delay * WaitSpeed()};
  options.max_crashes = config.max_crashes;
  options.breaker = {config.breaker.failures, config.breaker.open * WaitSpeed(),
                     config.breaker.max_open * WaitSpeed()};
  options.budget = config.breaker.budget;
  options.classifier = ClassifierOf(config.classify);
  options.letter_order = OrderOf(config.dead_letters.order);
  options.max_letters = config.dead_letters.max_letters;
  options.max_letter_bytes = config.dead_letters.max_bytes;
  options.letter_overhead = kLetterOverhead + config.plugin.size();
  options.heal_for = config.dead_letters.heal_for * WaitSpeed();
  return options;
}

}  // namespace catchup
