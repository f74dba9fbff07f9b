#pragma once

#include <map>
#include <string>

#include "tests/source/cluster/front.h"

namespace catchup {

// Who may call a node, by name.
struct NodeUser {
  std::string password;
  bool reads_all = true;  // `$all`, as by default only $admins do.
  bool appends = true;
};
using NodeUsers = std::map<std::string, NodeUser>;

// A front's rule: a node that asks each call who makes it, as measured on a real one:
//
//   a wrong user or password       UNAUTHENTICATED, whatever is called
//   a header that is none          HTTP 500, which gRPC calls UNKNOWN
//   nobody, or too few rights      PERMISSION_DENIED, `exception: access-denied`; of a BatchAppend
//                                  each append is answered so, and the call goes on
//   who has lost the right         the same, in the middle of a call
//
// Anybody may ask for the version. A user may read and append to any stream but `$all`.
Front::Rule AskForUsers(NodeUsers users);

}  // namespace catchup
