#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "host/cli/commands.h"
#include "host/cli/letter_place.h"

// The parts of `catchup dlq`. Each says what is wrong and returns an exit code.
namespace catchup {

// list, show and export.
int ShowLetters(const DlqArguments& arguments, LetterPlace* place);

// retry, drop, park and unpark.
int ChangeLetters(const DlqArguments& arguments, const ConfigReading& reading, LetterPlace* place);

// Says why a command has failed. 2 for what was asked wrongly.
int FailDlq(const DlqArguments& arguments, const Status& status);

// The filters as they were given; `--limit` is for whoever walks through the pages.
LetterOptions FiltersOf(const DlqArguments& arguments);

// Calls `see` with each letter that is meant, a JSON object as it came, page by page and at most
// `limit` of them (0: all). `count`, unless null, becomes how many the group has in all.
Status WalkLetters(LetterPlace* place, LetterOptions options, LetterView view, std::uint64_t limit,
                   const std::function<Status(const std::string& letter)>& see,
                   std::string* count = nullptr);

}  // namespace catchup
