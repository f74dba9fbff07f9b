#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "host/admin/http.h"

namespace catchup {

// Which function answers which request. Knows no transport, so that whatever carries requests (the
// control socket, TCP one day) offers the same API, and a test needs no socket.
//
// Fill it first; then any thread may ask it at any time.
class Router {
 public:
  // A request whose method and path fit a route.
  struct Call {
    const HttpRequest& request;  // Valid until the handler returns.
    // What stood in the place of each {name} of the pattern, decoded.
    std::map<std::string, std::string, std::less<>> path;
    // The parameters behind "?", decoded; of one given twice the last.
    std::map<std::string, std::string, std::less<>> query;
  };
  // Answers at once or later; must not block.
  using Handler = std::function<void(const Call& call, const HttpReply& reply)>;

  // `pattern` is a path whose parts are texts or {names}, as "/api/groups/{group}/stop". A name
  // stands for one part that is not empty.
  void Add(std::string method, std::string_view pattern, Handler handler);

  // Has the handler answer. Without one: 404 or 405 that name what there is; 400 for a target that
  // is none.
  void Route(const HttpRequest& request, const HttpReply& reply) const;

 private:
  struct Entry {
    std::string method;
    std::string pattern;
    std::vector<std::string> parts;
    Handler handler;
  };

  HttpResponse NotFound(const HttpRequest& request, std::string_view path) const;

  std::vector<Entry> entries_;
};

}  // namespace catchup
