#pragma once

#include "host/engine/failure.h"
#include "host/engine/letter.h"
#include "host/store/letter.h"

namespace catchup {

// The engine's words for states and classes of letters in those of their store, and back. Letters
// have no class of FATAL, a broken contract or, in the engine, none at all: these are unknown.
StoredClass ClassOf(FailureClass failure);
FailureClass FailureOf(StoredClass letter_class);
StoredState StoredOf(LetterState state);
LetterState StateOf(StoredState state);

}  // namespace catchup
