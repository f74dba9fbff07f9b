// Projections in C++20, on top of the C ABI of catchup/plugin.h.
//
//     #include <catchup/plugin.hpp>
//
//     class Totals : public catchup::Projection {
//      public:
//       explicit Totals(catchup::Host host) : path_(host.Require<std::string>("database")) {}
//       void Start() override { ... }                          // open it
//       void Handle(const catchup::Event& event) override {
//         if (event.type() != "order-placed") return;           // returning says: applied
//         if (!IsValid(event.data())) throw catchup::Reject("order-placed without an orderId");
//         ...
//       }
//     };
//
//     CATCHUP_PLUGIN("totals", "1.0.0", catchup::Offer<Totals>("totals"))
//
// Errors are exceptions, and their type says what the host does next: Retry, Reject, Fatal. Any
// other exception is CATCHUP_FAILED with its text. None crosses the ABI: each callback runs inside
// one noexcept function that turns what was thrown into a status.
//
// Threads, memory and the life of an instance are as plugin.h says: one thread for all calls to an
// instance, and every view dies with the call that passed it.
//
// Needs the standard library only. How a payload is parsed is the plugin's own choice.
#ifndef CATCHUP_PLUGIN_HPP_
#define CATCHUP_PLUGIN_HPP_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "catchup/plugin_boundary.hpp"
#include "catchup/plugin_host.hpp"
#include "catchup/plugin_types.hpp"

namespace catchup {

// What every projection has: a life between Start and Stop. Derive from one of the three below.
//
// The constructor is `create`: it takes a Host, reads the configuration and throws what it does not
// understand; it connects to nothing yet. The destructor is `destroy`.
class ProjectionBase {
 public:
  ProjectionBase() = default;
  ProjectionBase(const ProjectionBase&) = delete;
  ProjectionBase& operator=(const ProjectionBase&) = delete;
  virtual ~ProjectionBase() = default;

  // Opens connections and files, starts threads. After an exception the instance is destroyed
  // without a Stop, so the members' destructors must free what was opened.
  virtual void Start() {}

  // Flushes and closes, joins every thread. An exception is logged; nothing else comes of it. May
  // be followed by another Start.
  virtual void Stop() {}
};

// One event a call.
class Projection : public ProjectionBase {
 public:
  // Applies one event. Returning says that it is applied, durably: the host may never send it
  // again. The same event can come again after a crash, with the same id.
  virtual void Handle(const Event& event) = 0;
};

// Many events a call, for stores where a commit costs more than an event ("catchup.batch/1").
class BatchProjection : public Projection {
 public:
  // The most events of one call. Define the same name in the derived class for another number.
  static constexpr std::uint32_t kMaxEvents = 256;

  // Applies all events, in order. Returning says that all are applied, durably. Before throwing,
  // `applied` may be set to the number of leading events that are; it is 0 at the call. The host
  // then passes the rest again one by one through Handle.
  virtual void HandleBatch(Events events, std::uint64_t& applied) = 0;
};

// Effectively once ("catchup.position/1"): effects and the group's position in one transaction of
// the plugin's store. plugin.h says what each call must guard against; examples/order_totals is one
// that does. A derived class that also has `void Handle(const Event&)` offers the plain call too.
class PositionProjection : public ProjectionBase {
 public:
  // The most events of one HandleAt. Define the same name in the derived class for another number.
  static constexpr std::uint32_t kMaxEvents = 256;

  // Stores `token` and returns the position found beside it, in one committed transaction. Throws
  // Fatal if a higher token is there.
  virtual std::optional<catchup_position> LoadPosition(std::uint64_t token) = 0;

  // Applies all events and stores `position`, or nothing at all. `previous` is what is stored now;
  // none while no position ever was.
  virtual void HandleAt(Events events, std::optional<catchup_position> previous,
                        catchup_position position, std::uint64_t token) = 0;

  // Stores `position` whatever was there, or removes it. Throws Fatal if a higher token is there.
  virtual void SetPosition(std::optional<catchup_position> position, std::uint64_t token) = 0;
};

// Describes the projection `Type` under `name` for CATCHUP_PLUGIN. A name that is not
// [a-z0-9][a-z0-9-]{0,62} does not compile.
template <typename Type>
consteval catchup_projection Offer(std::string_view name) {
  static_assert(std::is_base_of_v<ProjectionBase, Type>,
                "derive from Projection, BatchProjection or PositionProjection");
  static_assert(std::is_constructible_v<Type, Host>, "the constructor takes a catchup::Host");
  plugin_internal::RequireProjectionName(name);
  catchup_projection offer{};
  offer.struct_size = sizeof(catchup_projection);
  offer.name = {name.data(), name.size()};
  using Callbacks = plugin_internal::Callbacks<Type>;
  offer.create = &Callbacks::Create;
  offer.destroy = &Callbacks::Destroy;
  offer.start = &Callbacks::Start;
  offer.stop = &Callbacks::Stop;
  if constexpr (plugin_internal::Handles<Type>) offer.handle = &Callbacks::Handle;
  static_assert(plugin_internal::Handles<Type> || std::is_base_of_v<PositionProjection, Type>,
                "a projection without HandleAt needs Handle");
  if constexpr (std::is_base_of_v<BatchProjection, Type> ||
                std::is_base_of_v<PositionProjection, Type>) {
    offer.get_extension = &Callbacks::template GetExtension<BatchProjection, PositionProjection>;
  }
  return offer;
}

}  // namespace catchup

// Defines the one function the plugin exports. `name` and `version` are string literals, then come
// one or more Offer<Type>("name"). All of it is constant data: nothing runs when the file is
// loaded.
#define CATCHUP_PLUGIN(name, version, ...)                                                 \
  extern "C" const catchup_plugin* catchup_plugin_entry(void) {                            \
    static constexpr catchup_projection kOffers[] = {__VA_ARGS__};                         \
    static constexpr auto kPointers = ::catchup::plugin_internal::PointersTo(kOffers);     \
    static constexpr catchup_plugin kPlugin = {CATCHUP_HEADER, CATCHUP_LITERAL(name),      \
                                               CATCHUP_LITERAL(version), kPointers.size(), \
                                               kPointers.data()};                          \
    return &kPlugin;                                                                       \
  }

#endif  // CATCHUP_PLUGIN_HPP_
