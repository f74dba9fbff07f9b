#pragma once

#include <cstddef>
#include <utility>
#include <vector>

namespace catchup {

// A queue in one piece of memory: as fast to index as an array, no allocation while it does not
// outgrow what it once held. `T` is cheap to make and to copy; places that are free keep the value
// they had.
template <typename T>
class Fifo {
 public:
  std::size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }

  // `index` counts from the front, and is less than size().
  T& operator[](std::size_t index) { return places_[(head_ + index) & (places_.size() - 1)]; }
  const T& operator[](std::size_t index) const {
    return places_[(head_ + index) & (places_.size() - 1)];
  }
  T& front() { return (*this)[0]; }
  const T& front() const { return (*this)[0]; }
  T& back() { return (*this)[size_ - 1]; }
  const T& back() const { return (*this)[size_ - 1]; }

  void push_back(const T& value) {
    if (size_ == places_.size()) [[unlikely]] {
      Grow();
    }
    ++size_;
    back() = value;
  }
  void pop_front() {
    head_ = (head_ + 1) & (places_.size() - 1);
    --size_;
  }
  void pop_back() { --size_; }

  // Gives the memory back.
  void clear() { *this = Fifo(); }

 private:
  static constexpr std::size_t kSmallest = 16;

  void Grow() {
    std::vector<T> places(places_.empty() ? kSmallest : 2 * places_.size());  // A power of two.
    for (std::size_t i = 0; i < size_; ++i) {
      places[i] = std::move((*this)[i]);
    }
    places_ = std::move(places);
    head_ = 0;
  }

  std::vector<T> places_;
  std::size_t head_ = 0;
  std::size_t size_ = 0;
};

}  // namespace catchup
