// Sums what the events of each stream say, in PostgreSQL: a plugin with a dependency that can fail
// in earnest.
//
// Configuration: `conninfo`, libpq's; and `disguise`, a text in place of all that libpq says, so
// that no text rule knows it. Events of type `counted` with data {"n": NUMBER}; others are ignored.
// The tables are the caller's to make:
//
//     totals(stream text PRIMARY KEY, revision bigint, total bigint)
//     places(name text PRIMARY KEY, token bigint, commit text, prepare text)
//
// One of type `deadly` aborts the process. Two projections. `pg-totals` is at least once: an event
// whose revision the stream's row has reached is left out. `pg-totals-at` keeps the position beside
// the totals, knows nothing of revisions when it adds, and so would count an event twice that came
// twice.
//
// An event that does not follow its stream's row is FATAL: it has overtaken another, or one is
// lost.
#include <catchup/plugin.hpp>
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <string>

#include "tests/plugins/pg_totals/database.h"

namespace pg_totals {
namespace {

using Place = std::optional<catchup_position>;

std::string Text(int row, int column, const Answer& answer) {
  return PQgetvalue(answer.get(), row, column);
}

bool Changed(const Answer& answer) { return std::string_view(PQcmdTuples(answer.get())) != "0"; }

std::string NameOf(const catchup::Event& event) {
  return std::string(event.stream()) + "@" + std::to_string(event.revision());
}

Database OpenLater(const catchup::Host& host) {
  host.RequireOnly({"conninfo", "disguise"});
  return {host.Require<std::string>("conninfo"), host.Get("disguise", std::string())};
}

void Suffer(const catchup::Event& event) {
  if (event.type() == "deadly") std::abort();
}

// True: the event has moved its stream's row on. False: the row is not the one before it.
bool Add(const catchup::Event& event, Database* database) {
  const std::string stream(event.stream());
  const std::string data(event.data());
  if (event.revision() == 0) {
    return Changed(
        database->Run("INSERT INTO totals VALUES ($1, 0, ($2::jsonb->>'n')::bigint) "
                      "ON CONFLICT DO NOTHING",
                      {stream, data}));
  }
  return Changed(
      database->Run("UPDATE totals SET revision = $3::bigint, total = total + "
                    "($2::jsonb->>'n')::bigint WHERE stream = $1 AND revision = $3::bigint - 1",
                    {stream, data, std::to_string(event.revision())}));
}

class Totals : public catchup::Projection {
 public:
  explicit Totals(catchup::Host host) : database_(OpenLater(host)) {}
  void Stop() override { database_.Close(); }

  void Handle(const catchup::Event& event) override {
    Suffer(event);
    if (event.type() != "counted" || Add(event, &database_)) return;
    const Answer row =
        database_.Run("SELECT 1 FROM totals WHERE stream = $1 AND revision >= $2",
                      {std::string(event.stream()), std::to_string(event.revision())});
    if (PQntuples(row.get()) == 0) throw catchup::Fatal(NameOf(event) + " came out of order");
  }

 private:
  Database database_;
};

class TotalsAt : public catchup::PositionProjection {
 public:
  static constexpr std::uint32_t kMaxEvents = 16;

  explicit TotalsAt(catchup::Host host) : host_(host), database_(OpenLater(host)) {}
  void Stop() override { database_.Close(); }

  Place LoadPosition(std::uint64_t token) override {
    Transaction transaction(&database_);
    const Place place = Row(token);
    database_.Run(
        "INSERT INTO places(name, token) VALUES ($1, $2) "
        "ON CONFLICT (name) DO UPDATE SET token = excluded.token",
        {Name(), std::to_string(token)});
    transaction.Commit();
    return place;
  }

  void HandleAt(catchup::Events events, Place previous, catchup_position position,
                std::uint64_t token) override {
    Transaction transaction(&database_);
    const Place place = Row(token);
    if (Reaches(place, position) && !Same(previous, position)) return;  // An answer was lost.
    if (!Same(place, previous)) throw catchup::Fatal("the position is not the one before");
    for (const catchup::Event& event : events) {
      Suffer(event);
      if (event.type() == "counted" && !Add(event, &database_)) {
        throw catchup::Fatal(NameOf(event) + " came out of order, or twice");
      }
    }
    Store(position);
    transaction.Commit();
  }

  void SetPosition(Place position, std::uint64_t token) override {
    Transaction transaction(&database_);
    (void)Row(token);
    Store(position);
    transaction.Commit();
  }

 private:
  static bool Same(const Place& a, const Place& b) {
    if (!a || !b) return !a && !b;
    return a->commit == b->commit && a->prepare == b->prepare;
  }
  static bool Reaches(const Place& stored, catchup_position position) {
    return stored &&
           std::tie(stored->commit, stored->prepare) >= std::tie(position.commit, position.prepare);
  }
  std::string Name() const { return std::string(host_.group()); }

  // Locks the group's row until the transaction ends, so that no other runner passes between.
  Place Row(std::uint64_t token) {
    const Answer row = database_.Run(
        "SELECT token, commit, prepare FROM places WHERE name = $1 FOR UPDATE", {Name()});
    if (PQntuples(row.get()) == 0) return std::nullopt;
    const std::uint64_t seen = std::stoull(Text(0, 0, row));
    if (seen > token) {
      throw catchup::Fatal("fenced: token " + std::to_string(seen) + " seen, ours " +
                           std::to_string(token));
    }
    if (PQgetisnull(row.get(), 0, 1) != 0) return std::nullopt;
    return catchup_position{std::stoull(Text(0, 1, row)), std::stoull(Text(0, 2, row))};
  }

  void Store(const Place& place) {
    if (place.has_value()) {
      database_.Run("UPDATE places SET commit = $2, prepare = $3 WHERE name = $1",
                    {Name(), std::to_string(place->commit), std::to_string(place->prepare)});
    } else {
      database_.Run("UPDATE places SET commit = NULL, prepare = NULL WHERE name = $1", {Name()});
    }
  }

  const catchup::Host host_;
  Database database_;
};

}  // namespace
}  // namespace pg_totals

CATCHUP_PLUGIN("pg_totals", "1.0.0", catchup::Offer<pg_totals::Totals>("pg-totals"),
               catchup::Offer<pg_totals::TotalsAt>("pg-totals-at"))
