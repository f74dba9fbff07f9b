#include "host/source/embedded/wire/record_filter.h"

#include <fmt/core.h>
#include <re2/re2.h>

#include <utility>

namespace catchup::embedded {

Result<RecordFilter> RecordFilter::Create(Field field, const std::string& regex,
                                          std::vector<std::string> prefixes) {
  RecordFilter filter;
  filter.field_ = field;
  filter.prefixes_ = std::move(prefixes);
  if (!regex.empty()) {
    re2::RE2::Options options;
    options.set_log_errors(false);
    auto pattern = std::make_shared<const re2::RE2>(regex, options);
    if (!pattern->ok()) {
      return Status::Invalid(fmt::format("filter pattern '{}': {}", regex, pattern->error()));
    }
    filter.regex_ = std::move(pattern);
  }
  return filter;
}

bool RecordFilter::IsHidden(std::string_view stream) {
  constexpr std::string_view kPersistent = "$persistentsubscription-$all::";
  if (stream == "$epoch-information") {
    return true;
  }
  if (!stream.starts_with(kPersistent)) {
    return false;
  }
  stream.remove_prefix(kPersistent.size());
  return stream.ends_with("-checkpoint") || stream.ends_with("-parked");
}

bool RecordFilter::MatchesRegex(std::string_view text) const {
  return re2::RE2::PartialMatch(re2::StringPiece(text.data(), text.size()), *regex_);
}

}  // namespace catchup::embedded
