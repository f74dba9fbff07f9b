#pragma once

#include <sys/types.h>

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace catchup {

// HTTP as the host's API sees it: no transport, no library. Plain values.

// Who asks, as the kernel says.
struct Peer {
  pid_t pid = 0;
  uid_t user = 0;
  gid_t group = 0;
  std::vector<gid_t> groups;  // The supplementary ones.
};

struct HttpRequest {
  std::string method;  // In capitals, as "POST".
  std::string target;  // As it came: "/api/groups/orders/stop?x=y".
  std::string body;
  Peer peer;  // Set by the server.
};

struct HttpResponse {
  int status = 200;
  std::string body;   // JSON.
  std::string allow;  // 405: the methods there are, for the header of that name.
};

// Gives the one answer to a request. Any thread; the second answer to the same request is dropped.
using HttpReply = std::function<void(HttpResponse)>;

// {"error": text}, and "expected": true for trouble that needs nobody's attention.
HttpResponse ErrorResponse(int status, std::string_view text, bool expected = false);

// "%20" and the like as the bytes they stand for. False: not encoded so.
bool DecodePercent(std::string_view text, std::string* out);
// Everything but letters, digits and "-._~" encoded.
std::string EncodePercent(std::string_view text);

}  // namespace catchup
