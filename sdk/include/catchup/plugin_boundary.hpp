// The border between C++ projections and the C ABI. Part of catchup/plugin.hpp; nothing here is for
// plugins to name.
#ifndef CATCHUP_PLUGIN_BOUNDARY_HPP_
#define CATCHUP_PLUGIN_BOUNDARY_HPP_

#include <array>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>

#include "catchup/plugin.h"
#include "catchup/plugin_host.hpp"
#include "catchup/plugin_types.hpp"

namespace catchup::plugin_internal {

// The text of the exception being handled, never empty. For use inside a catch only.
inline std::string CurrentExceptionText() {
  std::string text;
  try {
    throw;
  } catch (const std::exception& error) {
    text = error.what();
  } catch (const char* thrown) {
    if (thrown != nullptr) text = thrown;
  } catch (const std::string& thrown) {
    text = thrown;
  } catch (...) {
    text = "an exception that is not a std::exception";
  }
  return text.empty() ? "an exception without a text" : text;
}

// Runs `body` and turns whatever it throws into a status and a text: the one place where a C++
// exception ends. Building the text may run out of memory, which must not end the process either.
template <typename Body>
std::int32_t Guard(Host host, bool may_reject, Body&& body) noexcept {
  std::int32_t status = CATCHUP_FAILED;
  try {
    try {
      body();
      return CATCHUP_OK;
    } catch (const class Error& error) {
      if (error.status() != CATCHUP_REJECT || may_reject) status = error.status();
      host.SetError(CurrentExceptionText());
    } catch (...) {
      host.SetError(CurrentExceptionText());
    }
  } catch (...) {
    host.SetError("out of memory while describing an error");
  }
  return status;
}

// What a catchup_instance points to: the projection, and the host its errors go to.
template <typename Type>
struct Holder {
  explicit Holder(Host for_host) : host(for_host), projection(for_host) {}

  Host host;
  Type projection;
};

// Whether Type has a Handle, its own or a base's.
template <typename Type>
concept Handles = requires(Type& projection, const Event& event) {
  projection.Handle(event);
};

inline std::optional<catchup_position> ToOptional(const catchup_position* position) {
  return position != nullptr ? std::optional(*position) : std::nullopt;
}

// The C functions of one projection class. Each finds the holder, enters the guard and calls on.
template <typename Type>
struct Callbacks {
  static Holder<Type>& Of(catchup_instance* self) { return *reinterpret_cast<Holder<Type>*>(self); }

  static std::int32_t Create(const catchup_host* raw, catchup_instance** out) noexcept {
    const Host host(raw);
    return Guard(host, false,
                 [&] { *out = reinterpret_cast<catchup_instance*>(new Holder<Type>(host)); });
  }

  static void Destroy(catchup_instance* self) noexcept { delete &Of(self); }

  static std::int32_t Start(catchup_instance* self) noexcept {
    return Guard(Of(self).host, false, [&] { Of(self).projection.Start(); });
  }

  static void Stop(catchup_instance* self) noexcept {
    try {
      try {
        Of(self).projection.Stop();
      } catch (...) {
        Of(self).host.Error("stop: " + CurrentExceptionText());
      }
    } catch (...) {
      Of(self).host.Error("stop: out of memory while describing an error");
    }
  }

  static std::int32_t Handle(catchup_instance* self, const catchup_event* event) noexcept {
    return Guard(Of(self).host, true, [&] { Of(self).projection.Handle(Event(event)); });
  }

  static std::int32_t HandleBatch(catchup_instance* self, const catchup_event* const* events,
                                  std::uint64_t count, std::uint64_t* applied) noexcept {
    std::uint64_t leading = 0;
    const std::int32_t status = Guard(Of(self).host, true, [&] {
      Of(self).projection.HandleBatch(Events(events, count), leading);
    });
    // An error after all events were applied fits no status. Then none of them counts and all come
    // again, as delivery at least once allows.
    *applied = status == CATCHUP_OK ? count : leading < count ? leading : 0;
    return status;
  }

  static std::int32_t LoadPosition(catchup_instance* self, std::uint64_t token,
                                   catchup_loaded_position* out) noexcept {
    return Guard(Of(self).host, false, [&] {
      const std::optional<catchup_position> found = Of(self).projection.LoadPosition(token);
      *out = {found ? 1 : 0, 0, found.value_or(catchup_position{0, 0})};
    });
  }

  static std::int32_t HandleAt(catchup_instance* self, const catchup_event* const* events,
                               std::uint64_t count, const catchup_position* previous,
                               const catchup_position* position, std::uint64_t token) noexcept {
    return Guard(Of(self).host, true, [&] {
      Of(self).projection.HandleAt(Events(events, count), ToOptional(previous), *position, token);
    });
  }

  static std::int32_t SetPosition(catchup_instance* self, const catchup_position* position,
                                  std::uint64_t token) noexcept {
    return Guard(Of(self).host, false,
                 [&] { Of(self).projection.SetPosition(ToOptional(position), token); });
  }

  template <typename Batch, typename Position>
  static const void* GetExtension(const catchup_projection*, catchup_view id) noexcept {
    if constexpr (std::is_base_of_v<Batch, Type>) {
      static_assert(Type::kMaxEvents >= 1);
      static constexpr catchup_batch kTable = {sizeof(catchup_batch), Type::kMaxEvents,
                                               &Callbacks::HandleBatch};
      if (ToText(id) == CATCHUP_EXT_BATCH) return &kTable;
    }
    if constexpr (std::is_base_of_v<Position, Type>) {
      static_assert(Type::kMaxEvents >= 1);
      static constexpr catchup_position_keeper kTable = {
          sizeof(catchup_position_keeper), Type::kMaxEvents, &Callbacks::LoadPosition,
          &Callbacks::HandleAt, &Callbacks::SetPosition};
      if (ToText(id) == CATCHUP_EXT_POSITION) return &kTable;
    }
    return nullptr;
  }
};

// Stops the compiler at a name the ABI does not allow: a throw in a constant expression.
consteval void RequireProjectionName(std::string_view name) {
  const auto alphanumeric = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); };
  if (name.empty() || name.size() > 63 || !alphanumeric(name.front())) {
    throw "a projection's name is [a-z0-9][a-z0-9-]{0,62}";
  }
  for (const char c : name) {
    if (!alphanumeric(c) && c != '-') throw "a projection's name is [a-z0-9][a-z0-9-]{0,62}";
  }
}

template <std::size_t Count>
constexpr std::array<const catchup_projection*, Count> PointersTo(
    const catchup_projection (&offers)[Count]) {
  std::array<const catchup_projection*, Count> pointers{};
  for (std::size_t i = 0; i < Count; ++i) pointers[i] = &offers[i];
  return pointers;
}

}  // namespace catchup::plugin_internal

#endif  // CATCHUP_PLUGIN_BOUNDARY_HPP_
