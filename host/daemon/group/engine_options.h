#pragma once

#include "host/config/config.h"
#include "host/engine/classifier.h"
#include "host/engine/input.h"

namespace catchup {

// A group's configuration as its engine has it. What is fixed in the engine passes faster under a
// test, since all its time does; so what is a setting is as much longer there.
EngineOptions OptionsOf(const GroupConfig& config, bool stop_on_caught_up, bool on_probation);

Classifier ClassifierOf(const ClassifyConfig& config);

}  // namespace catchup
