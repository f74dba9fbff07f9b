#pragma once

#include <sys/types.h>

#include <map>

namespace catchup::embedded {

// The sockets of the connections that gRPC has been given and closes itself, so that they can be
// ended without it: it gives every call a status, which a node that stops does not.
//
// It keeps no descriptor of its own. One is known by the file behind it, so that another file that
// has got its number since is left alone.
class Connections {
 public:
  // Before `socket` is given away.
  void Add(int socket);
  // Those that are still open end at once, by RST. Where there is no descriptor left to do it with,
  // the rest of them stay.
  void Reset() const;

 private:
  struct File {
    dev_t device;
    ino_t number;
  };

  std::map<int, File> files_;  // The newest of each descriptor, so as many as listener.h lets in.
};

}  // namespace catchup::embedded
