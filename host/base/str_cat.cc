#include "host/base/str_cat.h"

#include <cstddef>

namespace catchup {

std::string JoinPieces(std::initializer_list<TextPiece> pieces) {
  std::size_t size = 0;
  for (const TextPiece& piece : pieces) {
    size += piece.text().size();
  }
  std::string all;
  all.reserve(size);
  for (const TextPiece& piece : pieces) {
    all += piece.text();
  }
  return all;
}

}  // namespace catchup
