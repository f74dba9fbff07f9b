#include "host/admin/router.h"

#include <set>
#include <utility>

#include "host/base/text.h"

namespace catchup {
namespace {

// The most of a path that a message shows.
constexpr std::size_t kMaxShownPath = 200;

// What lies between the "/" of a path, which begins with one.
std::vector<std::string> Split(std::string_view path) {
  std::vector<std::string> parts;
  for (std::size_t at = 1; at <= path.size();) {
    const std::size_t end = std::min(path.find('/', at), path.size());
    parts.emplace_back(path.substr(at, end - at));
    at = end + 1;
  }
  return parts;
}

bool IsName(std::string_view part) { return !part.empty() && part.front() == '{'; }

// Whether `found` fits `wanted`; what stands for its names goes to `path`.
bool Fits(const std::vector<std::string>& wanted, const std::vector<std::string>& found,
          std::map<std::string, std::string, std::less<>>* path) {
  if (wanted.size() != found.size()) {
    return false;
  }
  path->clear();
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    if (IsName(wanted[i])) {
      std::string text;
      if (found[i].empty() || !DecodePercent(found[i], &text)) {
        return false;
      }
      path->emplace(wanted[i].substr(1, wanted[i].size() - 2), std::move(text));
    } else if (wanted[i] != found[i]) {
      return false;
    }
  }
  return true;
}

bool ParseQuery(std::string_view text, std::map<std::string, std::string, std::less<>>* query) {
  while (!text.empty()) {
    const std::string_view one = text.substr(0, text.find('&'));
    text.remove_prefix(std::min(one.size() + 1, text.size()));
    const std::size_t equals = std::min(one.find('='), one.size());
    std::string name;
    std::string value;
    if (!DecodePercent(one.substr(0, equals), &name) ||
        !DecodePercent(one.substr(std::min(equals + 1, one.size())), &value)) {
      return false;
    }
    (*query)[name] = std::move(value);
  }
  return true;
}

}  // namespace

void Router::Add(std::string method, std::string_view pattern, Handler handler) {
  entries_.push_back({std::move(method), std::string(pattern), Split(pattern), std::move(handler)});
}

void Router::Route(const HttpRequest& request, const HttpReply& reply) const {
  const std::string_view target = request.target;
  const std::string_view path = target.substr(0, target.find('?'));
  Call call{request, {}, {}};
  if (path.empty() || path.front() != '/' ||
      !ParseQuery(target.substr(std::min(path.size() + 1, target.size())), &call.query)) {
    reply(ErrorResponse(400, "target " + Quoted(target, kMaxShownPath) +
                                 " is no path, wanted one that begins with / and has %XX for "
                                 "every other byte"));
    return;
  }
  const std::vector<std::string> parts = Split(path);
  for (const Entry& entry : entries_) {
    if (entry.method == request.method && Fits(entry.parts, parts, &call.path)) {
      entry.handler(call, reply);
      return;
    }
  }
  reply(NotFound(request, path));
}

// Says what there is instead: other methods of the same path, or all paths.
HttpResponse Router::NotFound(const HttpRequest& request, std::string_view path) const {
  const std::vector<std::string> parts = Split(path);
  std::set<std::string> methods;
  std::set<std::string> patterns;
  std::map<std::string, std::string, std::less<>> ignored;
  for (const Entry& entry : entries_) {
    patterns.insert(entry.pattern);
    if (Fits(entry.parts, parts, &ignored)) {
      methods.insert(entry.method);
    }
  }
  const std::set<std::string>& there = methods.empty() ? patterns : methods;
  std::string wanted;
  for (const std::string& one : there) {
    wanted += (wanted.empty() ? "" : ", ") + one;
  }
  if (methods.empty()) {
    return ErrorResponse(404, "no such path: " + Quoted(path, kMaxShownPath) + ", wanted one of " +
                                  (wanted.empty() ? "none" : wanted));
  }
  HttpResponse response =
      ErrorResponse(405, "method " + Quoted(request.method, kMaxShownPath) + " of " +
                             Quoted(path, kMaxShownPath) + ", wanted " + wanted);
  response.allow = std::move(wanted);
  return response;
}

}  // namespace catchup
