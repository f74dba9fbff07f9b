#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "host/base/mutex.h"
#include "host/base/witness.h"
#include "host/config/config.h"
#include "host/daemon/group/group.h"
#include "host/daemon/orders/host_control.h"
#include "host/daemon/source/last_good.h"
#include "host/daemon/threads/gate.h"

namespace catchup {

// A group's place in the host: its configuration, what an operator wants of it, and its present
// incarnation, which runs, or has ended and stays to be looked at until its store is needed or the
// next one begins. So a group can end and begin again while the host runs.
//
//   command   while it runs            once it has ended
//   stop      stored, drains, ends     stored
//   start     refused                  what was asked for is stored; the next incarnation begins
//   reset     refused                  stored; the next incarnation finishes it. To the last good
//                                      event: the server is asked first, on a connection of its own
//   letters   by the incarnation       stored; a retry is refused
//
// A group that was given up is tried again every 10 minutes, as by `start`: what it lacks, say a
// database that was down when it began, may have come back without anybody's doing here.
//
// One command at a time; each has a limit of time and is answered once, by the host's end at the
// latest. What it stores is stored before it is answered, and a kill in between leaves either what
// was before or what was ordered.
class GroupSlot {
 public:
  // What `services` name must outlive this; the reactor may still run when this goes, though not on
  // the thread that takes it away.
  GroupSlot(const GroupConfig& config, GroupServices services, bool stop_on_caught_up);
  ~GroupSlot();
  GroupSlot(const GroupSlot&) = delete;
  GroupSlot& operator=(const GroupSlot&) = delete;

  const std::string& name() const { return config_.name; }

  // Begins the first incarnation.
  void Start();

  // ---- Commands. On the reactor.
  void StopByCommand(const std::string& by, ControlReply reply);
  void StartByCommand(const StartOrder& order, const std::string& by, ControlReply reply);
  void ResetByCommand(const ResetTarget& target, const std::string& by, ControlReply reply);
  // See HostControl.
  void ReadLetters(const LetterRead& read, const ControlReply& reply);
  void OrderLetter(const LetterCommand& order, const std::string& by, ControlReply reply);
  // An incarnation has ended, of this slot or of another. On the reactor.
  void Look();

  // ---- Any thread.

  // Drains and ends for the host's end; a second call forces. No command is taken any more.
  void Stop();
  // As Group::SettleSinks.
  void SettleSinks(std::chrono::steady_clock::time_point deadline);
  // As Group::Close; also waits for what a command has going on a disk.
  void Close();
  GroupStatus Glance();
  bool CheckpointSafe();
  void SetHead(const std::optional<Witness>& head);
  void AccessChanged();
  void LeaveNode(const std::string& from, const std::string& to);

 private:
  using Clock = std::chrono::steady_clock;

  // How long a command may take whose store is not to be had at once, or on a full disk.
  static constexpr std::chrono::seconds kOrderLimit{5};

  enum class Kind : std::uint8_t { kStop, kStart, kReset, kLetters };
  using Order = std::function<Result<std::string>(const std::filesystem::path& groups)>;
  struct Command {
    Kind kind = Kind::kStop;
    ControlReply reply;
    Clock::time_point deadline;
    // What is to be done once the incarnation has ended and let go of its store; none while a start
    // waits for its incarnation to begin.
    Order order;
    std::function<void()> next;  // Comes once `order` is done, in place of the answer; or null.
    bool stored = false;         // By the incarnation itself.
    bool ordered = false;        // `order` is under way, or done.
    bool on_probation = false;   // The next incarnation.
    std::string note;
  };

  static const char* NameOf(Kind kind);
  bool Refuse(const ControlReply& reply) CATCHUP_REQUIRES(on_reactor_);
  void Begin(Command command) CATCHUP_REQUIRES(on_reactor_);
  // Begins a command on a group that does not run: at once.
  void BeginOrder(Kind kind, std::chrono::seconds limit, ControlReply reply, Order order)
      CATCHUP_REQUIRES(on_reactor_);
  void LookAfterGivenUp() CATCHUP_REQUIRES(on_reactor_);
  void LookAtIncarnation() CATCHUP_REQUIRES(on_reactor_);
  void GiveOrder() CATCHUP_REQUIRES(on_reactor_);
  void AskForLastGood(const std::vector<Witness>& handled, const std::string& by)
      CATCHUP_REQUIRES(on_reactor_);
  void AskForLastGoodAt(const std::string& address, const std::vector<Witness>& handled,
                        const std::string& by) CATCHUP_REQUIRES(on_reactor_);
  void OnLastGood(const std::vector<Witness>& handled, const std::string& by,
                  const LastGoodAnswer& good) CATCHUP_REQUIRES(on_reactor_);
  void OnOrdered(const Result<std::string>& done) CATCHUP_REQUIRES(on_reactor_);
  void OnOrderDone(const std::string& note) CATCHUP_REQUIRES(on_reactor_);
  void BeginNext() CATCHUP_REQUIRES(on_reactor_);
  bool AwaitsIncarnation() const CATCHUP_REQUIRES(on_reactor_);
  void Watch() CATCHUP_REQUIRES(on_reactor_);
  void OnTime() CATCHUP_REQUIRES(on_reactor_);
  void Finish(ControlAnswer::Kind kind, std::string text) CATCHUP_REQUIRES(on_reactor_);
  ControlAnswer Answer(ControlAnswer::Kind kind, std::string text);
  bool Running();
  void LetGo();

  const GroupConfig config_;
  const GroupServices services_;
  const bool stop_on_caught_up_;
  // What this has posted to the reactor passes here, so that it finds a slot that is there.
  const std::shared_ptr<Gate> gate_ = std::make_shared<Gate>([] {});

  Role on_reactor_;
  std::optional<Command> command_ CATCHUP_GUARDED_BY(on_reactor_);
  bool watching_ CATCHUP_GUARDED_BY(on_reactor_) = false;
  // While a reset asks a server.
  std::shared_ptr<Source> asked_ CATCHUP_GUARDED_BY(on_reactor_);

  Mutex mutex_;
  CondVar changed_;
  std::unique_ptr<Group> group_ CATCHUP_GUARDED_BY(mutex_);
  // What the last incarnation left, once it is gone.
  GroupStatus last_ CATCHUP_GUARDED_BY(mutex_);
  bool last_safe_ CATCHUP_GUARDED_BY(mutex_) = true;
  std::optional<Clock::time_point> retry_at_ CATCHUP_GUARDED_BY(mutex_);  // It was given up.
  bool stopped_by_command_ CATCHUP_GUARDED_BY(mutex_) = false;
  bool commanded_ CATCHUP_GUARDED_BY(mutex_) = false;  // A command is under way.
  bool drains_ CATCHUP_GUARDED_BY(mutex_) = false;     // By command, so told once already.
  bool ending_ CATCHUP_GUARDED_BY(mutex_) = false;     // The host is.
  bool ordering_ CATCHUP_GUARDED_BY(mutex_) = false;   // A job of the pool is at work with this.
};

}  // namespace catchup
