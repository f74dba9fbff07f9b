// The values a C++ projection deals with: errors, an event, a run of events. Part of
// catchup/plugin.hpp.
#ifndef CATCHUP_PLUGIN_TYPES_HPP_
#define CATCHUP_PLUGIN_TYPES_HPP_

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <iterator>
#include <stdexcept>
#include <string>
#include <string_view>

#include "catchup/plugin.h"

namespace catchup {

// An exception that says what the host is to do. The text is for people. A projection throws one of
// the three below, or a class of its own derived from one. Anything else that it throws, an int or
// another language's exception included, is FAILED with what text there is: not applied, and the
// host judges by the group's text rules.
class Error : public std::runtime_error {
 public:
  std::int32_t status() const { return status_; }

 protected:
  Error(std::int32_t status, const std::string& text) : std::runtime_error(text), status_(status) {}

 private:
  std::int32_t status_;
};

// Not applied, and not the event's fault: the host waits, then passes the same event again, for as
// long as it takes.
class Retry : public Error {
 public:
  explicit Retry(const std::string& text) : Error(CATCHUP_RETRY, text) {}
};

// This event can never be applied: the host writes a dead letter and goes on. Only while events are
// handled; thrown from a constructor or from Start it counts as any other exception.
class Reject : public Error {
 public:
  explicit Reject(const std::string& text) : Error(CATCHUP_REJECT, text) {}
};

// This group cannot go on: the host stops it and dead-letters nothing.
class Fatal : public Error {
 public:
  explicit Fatal(const std::string& text) : Error(CATCHUP_FATAL, text) {}
};

// The same by the names that other hosts of projections have for them: the event's fault, the
// infrastructure's, and nobody's to heal.
using DomainError = Reject;
using TransientError = Retry;
using FatalError = Fatal;

inline std::string_view ToText(catchup_view view) {
  return {view.data, static_cast<std::size_t>(view.size)};
}

inline catchup_view ToView(std::string_view text) { return {text.data(), text.size()}; }

// 100 ns since 1970-01-01T00:00:00Z.
using Ticks = std::chrono::duration<std::int64_t, std::ratio<1, 10'000'000>>;

// One recorded event, borrowed until the call that passed it returns. Copying it copies a pointer.
class Event {
 public:
  explicit Event(const catchup_event* raw) : raw_(raw) {}

  std::string_view stream() const { return ToText(raw_->stream); }
  std::string_view type() const { return ToText(raw_->type); }
  std::string_view data() const { return ToText(raw_->data); }
  std::string_view metadata() const { return ToText(raw_->metadata); }

  // The bytes of the UUID's text form, left to right. With attempt() an idempotency key.
  std::array<std::uint8_t, 16> id() const {
    std::array<std::uint8_t, 16> bytes;
    std::memcpy(bytes.data(), raw_->id, bytes.size());
    return bytes;
  }

  // Lower case, 8-4-4-4-12.
  std::string id_text() const {
    static constexpr char kHex[] = "0123456789abcdef";
    std::string text;
    text.reserve(36);
    for (std::size_t i = 0; i < 16; ++i) {
      if (i == 4 || i == 6 || i == 8 || i == 10) text.push_back('-');
      text.push_back(kHex[raw_->id[i] >> 4]);
      text.push_back(kHex[raw_->id[i] & 15]);
    }
    return text;
  }

  std::uint64_t revision() const { return raw_->revision; }
  catchup_position position() const { return raw_->position; }
  std::int64_t created_ticks() const { return raw_->created_ticks; }
  std::chrono::sys_time<Ticks> created() const {
    return std::chrono::sys_time<Ticks>(Ticks(raw_->created_ticks));
  }
  std::uint32_t attempt() const { return raw_->attempt; }
  std::uint32_t lane() const { return raw_->lane; }
  bool is_json() const { return (raw_->flags & CATCHUP_EVENT_JSON) != 0; }
  bool is_system() const { return (raw_->flags & CATCHUP_EVENT_SYSTEM) != 0; }
  const catchup_event& raw() const { return *raw_; }

 private:
  const catchup_event* raw_;
};

// The events of one call, in order, borrowed like each of them.
class Events {
 public:
  class Iterator {
   public:
    using iterator_category = std::input_iterator_tag;
    using value_type = Event;
    using difference_type = std::ptrdiff_t;
    using pointer = void;
    using reference = Event;

    explicit Iterator(const catchup_event* const* at) : at_(at) {}
    Event operator*() const { return Event(*at_); }
    Iterator& operator++() {
      ++at_;
      return *this;
    }
    Iterator operator++(int) { return Iterator(at_++); }
    friend bool operator==(Iterator, Iterator) = default;

   private:
    const catchup_event* const* at_;
  };

  Events(const catchup_event* const* events, std::uint64_t count)
      : events_(events), count_(static_cast<std::size_t>(count)) {}

  std::size_t size() const { return count_; }
  bool empty() const { return count_ == 0; }
  Event operator[](std::size_t i) const { return Event(events_[i]); }
  Iterator begin() const { return Iterator(events_); }
  Iterator end() const { return Iterator(events_ + count_); }

 private:
  const catchup_event* const* events_;
  std::size_t count_;
};

}  // namespace catchup

#endif  // CATCHUP_PLUGIN_TYPES_HPP_
