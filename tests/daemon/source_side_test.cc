#include "host/daemon/source/source_side.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "tests/daemon/scripted_source.h"
#include "tests/daemon/workshop.h"

namespace catchup {
namespace {

using testing::Optional;

class SourceSideTest : public testing::Test, public SourceListener {
 protected:
  SourceSideTest() {
    config_.name = "group";
    config_.filter.prefixes = {""};
    Make(nullptr);
  }
  // In place of the one before. `leaders`: where another node than the leader is preferred.
  void Make(Discovery* discovery, Discovery* leaders = nullptr) {
    SourceSide::Services services;
    services.discovery = discovery;
    services.address = [this] { return address_; };
    services.open = [this](const std::string& address,
                           const std::string&) -> Result<std::unique_ptr<Source>> {
      if (none_left_) {
        return Status::Exhausted("no thread is left");
      }
      server_.address = address;
      ++opened_;
      return std::unique_ptr<Source>(std::make_unique<ScriptedSource>(&server_));
    };
    if (leaders != nullptr) {
      services.leaders = leaders;
      services.open_leader = [this, open = services.open](const std::string& address,
                                                          const std::string& name) {
        ++opened_at_leader_;
        return open(address, name);
      };
    }
    services.read_next = [this](std::optional<Position> behind, const EventFilter& filter,
                                Source::PlaceCallback callback) {
      asked_behind_ = {behind, filter};
      answer_next_ = std::move(callback);
    };
    services.retire = [this](std::shared_ptr<Source> source) {
      retired_.push_back(std::move(source));
    };
    services.watch = [this](std::function<void()> answers) -> std::unique_ptr<SourceWatch> {
      answer_ = std::move(answers);
      return std::make_unique<Watch>(&watched_);
    };
    side_ = std::make_unique<SourceSide>(config_, std::move(services), gate_, this);
  }
  // Writes down what it hears.
  class Watch final : public SourceWatch {
   public:
    explicit Watch(std::vector<std::string>* heard) : heard_(*heard) {}
    ~Watch() override { heard_.push_back("left"); }
    Watch(const Watch&) = delete;
    Watch& operator=(const Watch&) = delete;
    void Miss() override { heard_.push_back("miss"); }
    void Found() override { heard_.push_back("found"); }

   private:
    std::vector<std::string>& heard_;
  };
  // Here, for the listener is this test, which must be whole until nobody calls it.
  void TearDown() override {
    SourceSide::Rest rest;
    gate_->Close([&] { rest = side_->Close(); });
  }

  void Open() {
    gate_->Enter([this] { EXPECT_TRUE(side_->Open().ok()); });
  }

  void OnServerKnown(CallNumber call, const ServerTraits& traits) override {
    traits_.Tell({call, traits});
    if (subscribes_) {
      side_->Subscribe(call, std::nullopt);
    }
  }
  void OnEndKnown(CallNumber, std::optional<Position> end) override { end_.Tell(end); }
  void OnWitness(CallNumber, const std::optional<FirstRecord>& first) override {
    witness_.Tell(first);
  }
  void OnWitnessStream(CallNumber, const StreamRevision& found) override { revision_.Tell(found); }
  void OnProbed(CallNumber, std::optional<Position> found) override { probed_.Tell(found); }
  void OnHead(CallNumber, const std::optional<Witness>& head) override {
    head_.Tell(PlaceOf(head));
  }
  void OnNext(CallNumber call, const Answer<std::optional<Position>>& next) override {
    next_.Tell({call, *next});
  }
  void OnEvent(CallNumber, std::unique_ptr<EventFrame> frame) override {
    events_.Tell(frame->event.position.commit);
    rounds_.Tell(side_->in_round());
    side_->Flow(wants_);
  }
  void OnCheckpoint(CallNumber, Position) override {}
  void OnCaughtUp(CallNumber call, std::optional<Position>) override { caught_up_.Tell(call); }
  void OnEnded(CallNumber call, const EndOfCall& end) override {
    ended_.Tell({call, end.kind});
    text_.Tell(end.text);
  }
  void OnSourceAnswers() override { answers_.Tell(true); }

  GroupConfig config_;
  ScriptedServer server_;
  std::string address_ = "scripted:1";
  bool none_left_ = false;
  int opened_ = 0;
  int opened_at_leader_ = 0;
  std::function<void()> answer_;
  std::pair<std::optional<Position>, EventFilter> asked_behind_;
  Source::PlaceCallback answer_next_;
  std::vector<std::string> watched_;
  std::shared_ptr<Gate> gate_ = std::make_shared<Gate>([] {});
  std::vector<std::shared_ptr<Source>> retired_;  // Kept: none may end inside a turn.
  bool subscribes_ = true;                        // Inside turns, as the next.
  bool wants_ = true;
  Told<std::pair<CallNumber, ServerTraits>> traits_;
  Told<std::optional<Position>> probed_, head_, end_;
  Told<std::optional<FirstRecord>> witness_;
  Told<StreamRevision> revision_;
  Told<std::pair<CallNumber, std::optional<Position>>> next_;
  Told<std::uint64_t> events_;
  Told<bool> rounds_;
  Told<CallNumber> caught_up_;
  Told<std::pair<CallNumber, EndClass>> ended_;
  Told<std::string> text_;
  Told<bool> answers_;
  std::unique_ptr<SourceSide> side_;
};

TEST_F(SourceSideTest, AsksForTheVersionThenBringsEventsAndTheHead) {
  server_.Append("a");
  server_.Append("b");
  Open();
  gate_->Enter([this] { side_->Connect(1, false); });

  const auto known = traits_.Await();
  ASSERT_TRUE(known.has_value());
  EXPECT_EQ(known->first, 1u);
  EXPECT_TRUE(known->second.resumes_anywhere);
  EXPECT_EQ(events_.Await(1), 200u);
  EXPECT_EQ(caught_up_.Await(), 1u);
  ASSERT_THAT(head_.Await(), Optional((Position{200, 200})));
}

// What was read for the end of the log counts, where nothing else needs a later one.
TEST_F(SourceSideTest, AsksForTheHeadOnceInACall) {
  for (const auto& [version, heads] : {std::pair("24.10.14", 1u), std::pair("22.10.5", 2u)}) {
    SCOPED_TRACE(version);
    server_.version = version;
    const std::size_t before = head_.size();
    subscribes_ = false;
    const CallNumber call = server_.version == "24.10.14" ? 1 : 2;
    if (call == 1) {
      server_.Append("a");
      Open();
    }
    gate_->Enter([&] { side_->Connect(call, false); });
    ASSERT_TRUE(traits_.Await(call - 1).has_value());
    gate_->Enter([&] { side_->ReadEnd(call, {100, 100}); });
    ASSERT_TRUE(end_.Await(call - 1).has_value());
    gate_->Enter([&] { side_->Subscribe(call, Position{100, 100}); });
    // Answered behind whatever the subscription asked.
    Told<bool> asked;
    gate_->Enter([&] { side_->ReadHead([&](const auto& head) { asked.Tell(head.ok()); }); });
    ASSERT_TRUE(asked.Await().has_value());
    EXPECT_EQ(head_.size() - before, heads);
    gate_->Enter([&] { side_->Cancel(false); });
    ASSERT_TRUE(ended_.Await(call - 1).has_value());
  }
}

TEST_F(SourceSideTest, IsInARoundFromAFrameToTheWordThatTheRoundIsOver) {
  server_.Append("a");
  Open();
  gate_->Enter([this] {
    EXPECT_FALSE(side_->in_round());
    side_->Connect(1, false);
  });

  EXPECT_EQ(rounds_.Await(), true);
  ASSERT_TRUE(caught_up_.Await().has_value());
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (gate_->Inspect([this] { return side_->in_round(); })) {
    ASSERT_LT(std::chrono::steady_clock::now(), deadline);
    std::this_thread::yield();
  }
}

TEST_F(SourceSideTest, KnowsAnOldServer) {
  server_.version = "22.10.5";
  Open();
  gate_->Enter([this] { side_->Connect(1, false); });

  const auto known = traits_.Await();
  ASSERT_TRUE(known.has_value());
  EXPECT_FALSE(known->second.resumes_anywhere);
  EXPECT_FALSE(known->second.says_caught_up);
}

TEST_F(SourceSideTest, LeavesACallUnreadUntilThereIsRoom) {
  server_.Append("a");
  server_.Append("b");
  Open();
  gate_->Enter([this] {
    wants_ = false;
    side_->Connect(1, false);
  });
  ASSERT_EQ(events_.Await(0), 100u);
  // Behind the one frame that was asked for, whatever is answered next.
  Told<bool> asked;
  gate_->Enter([&] { side_->ReadHead([&](const auto& head) { asked.Tell(head.ok()); }); });
  ASSERT_TRUE(asked.Await().has_value());
  EXPECT_EQ(events_.size(), 1u);

  gate_->Enter([this] {
    wants_ = true;
    side_->Flow(true);
  });

  EXPECT_EQ(events_.Await(1), 200u);
}

TEST_F(SourceSideTest, TellsARefusalFromAFailure) {
  server_.unreachable = EndOfCall{.kind = EndClass::kCredentials, .text = "who are you?"};
  Open();
  gate_->Enter([this] { side_->Connect(1, false); });
  EXPECT_EQ(ended_.Await(0), (std::pair<CallNumber, EndClass>{1, EndClass::kCredentials}));

  server_.unreachable = EndOfCall{.text = "nobody is there"};
  gate_->Enter([this] { side_->Connect(2, false); });
  EXPECT_EQ(ended_.Await(1), (std::pair<CallNumber, EndClass>{2, EndClass::kDropped}));
  EXPECT_EQ(text_.Await(1), "nobody is there");
}

TEST_F(SourceSideTest, FollowsAServerThatHasMoved) {
  Open();
  gate_->Enter([this] {
    address_ = "scripted:2";
    side_->Connect(1, false);
  });

  ASSERT_EQ(caught_up_.Await(), 1u);
  gate_->Enter([this] { EXPECT_EQ(side_->address(), "scripted:2"); });
  ASSERT_EQ(retired_.size(), 1u);
  EXPECT_EQ(retired_.front()->address(), "scripted:1");
}

// The old connection stays, and the engine tries again.
TEST_F(SourceSideTest, EndsTheCallWhereTheMachineHasNothingLeftForANewConnection) {
  Open();
  gate_->Enter([this] {
    address_ = "scripted:2";
    none_left_ = true;
    side_->Connect(1, false);
  });

  EXPECT_EQ(ended_.Await(), (std::pair<CallNumber, EndClass>{1, EndClass::kDropped}));
  EXPECT_EQ(text_.Await(), "no thread is left");
}

// It may be dead without knowing, or wait by itself before it connects again.
TEST_F(SourceSideTest, UsesAConnectionNoMoreOnWhichACallWasDropped) {
  server_.SetUnreachable(EndOfCall{.text = "nobody is there"});
  Open();
  gate_->Enter([this] { side_->Connect(1, false); });
  ASSERT_TRUE(ended_.Await(0).has_value());
  server_.SetUnreachable(EndOfCall{.kind = EndClass::kRights, .text = "not for you"});
  gate_->Enter([this] {
    EXPECT_EQ(opened_, 1);
    side_->Connect(2, false);
    EXPECT_EQ(opened_, 2);
  });
  ASSERT_TRUE(ended_.Await(1).has_value());
  gate_->Enter([this] {
    side_->Connect(3, false);
    EXPECT_EQ(opened_, 2) << "an answer came over it";
  });
  ASSERT_TRUE(ended_.Await(2).has_value());
}

// "not-leader" with an address (protocol notes, 4.2 and 5.2).
TEST_F(SourceSideTest, ConnectsToTheLeaderThatANodeNamesAndBackWhenThatCallEnds) {
  server_.SetUnreachable(
      EndOfCall{.kind = EndClass::kNotLeader, .leader = "leader:2113", .text = "not the leader"});
  Open();
  gate_->Enter([this] { side_->Connect(1, false); });
  ASSERT_TRUE(ended_.Await(0).has_value());
  server_.SetUnreachable(EndOfCall{.text = "gone"});
  gate_->Enter([this] {
    side_->Connect(2, false);
    EXPECT_EQ(side_->address(), "leader:2113");
  });
  ASSERT_TRUE(ended_.Await(1).has_value());
  gate_->Enter([this] {
    side_->Connect(3, false);
    EXPECT_EQ(side_->address(), "scripted:1");
  });
  ASSERT_TRUE(ended_.Await(2).has_value());
}

// A cluster (protocol notes, 5.2): the node to connect to is found first, and again for each call
// after one that a node has ended.
class ClusterSideTest : public SourceSideTest {
 protected:
  ClusterSideTest() {
    Discovery::Services nodes;
    nodes.seeds = {"seed:1"};
    nodes.attempts = 1;
    nodes.interval = std::chrono::milliseconds(1);
    nodes.random = [] { return 0; };
    nodes.ask = [this](const std::string&, std::function<void(const Discovery::Members&)> answer) {
      say_ = [this, answer] {
        answer(leader_.empty() ? Discovery::Members(EndOfCall{.text = "seed:1: not there"})
                               : std::vector<ClusterMember>{
                                     {leader_, ClusterMember::State::kLeader, "Leader", true}});
      };
      asked_.Tell(true);
      if (!leader_.empty()) {
        say_();
      }
      return std::make_shared<int>();
    };
    discovery_ = std::make_unique<Discovery>(std::move(nodes), reactor_.get());
    Make(discovery_.get());
    Open();
  }
  ~ClusterSideTest() override { reactor_->Stop(); }

  // Finds this one whenever it is asked.
  std::unique_ptr<Discovery> Finder(const std::string& follower) {
    Discovery::Services nodes;
    nodes.seeds = {follower};
    nodes.preference = NodePreference::kFollower;
    nodes.random = [] { return 0; };
    nodes.ask = [](const std::string& node, const auto& answer) {
      answer(std::vector<ClusterMember>{{node, ClusterMember::State::kFollower, "Follower", true}});
      return std::make_shared<int>();
    };
    return std::make_unique<Discovery>(std::move(nodes), reactor_.get());
  }

  std::unique_ptr<Reactor> reactor_ = *Reactor::Create();
  std::string leader_ = "leader:1";  // Empty: the seed says nothing until say_ has it say so.
  Told<bool> asked_;
  std::function<void()> say_;
  std::unique_ptr<Discovery> discovery_;
  std::unique_ptr<Discovery> followers_;
};

TEST_F(ClusterSideTest, ConnectsToTheNodeThatIsFound) {
  gate_->Enter([this] {
    EXPECT_EQ(opened_, 0) << "nobody knows yet where to";
    side_->Connect(1, false);
  });
  ASSERT_EQ(caught_up_.Await(), 1u);
  gate_->Enter([this] { EXPECT_EQ(side_->address(), "leader:1"); });
}

TEST_F(ClusterSideTest, FindsANodeAnewForEachCallAfterOneThatWasDropped) {
  server_.SetUnreachable(EndOfCall{.text = "gone"});
  gate_->Enter([this] { side_->Connect(1, false); });
  ASSERT_TRUE(ended_.Await(0).has_value());
  EXPECT_EQ(discovery_->known(), std::nullopt);
  server_.SetUnreachable(std::nullopt);
  leader_ = "leader:2";
  gate_->Enter([this] { side_->Connect(2, false); });
  ASSERT_EQ(caught_up_.Await(), 2u);
  gate_->Enter([this] { EXPECT_EQ(side_->address(), "leader:2"); });
}

// "not-leader" without an address (protocol notes, 4.2).
TEST_F(ClusterSideTest, FindsTheLeaderWhereANodeThatIsNoneDoesNotNameIt) {
  server_.SetUnreachable(EndOfCall{.kind = EndClass::kNotLeader, .text = "No leader info"});
  gate_->Enter([this] { side_->Connect(1, false); });
  ASSERT_TRUE(ended_.Await(0).has_value());
  EXPECT_EQ(discovery_->known(), std::nullopt);
}

TEST_F(ClusterSideTest, StaysWithANodeThatRefuses) {
  server_.SetUnreachable(EndOfCall{.kind = EndClass::kRights, .text = "not for you"});
  gate_->Enter([this] { side_->Connect(1, false); });
  ASSERT_TRUE(ended_.Await(0).has_value());
  EXPECT_EQ(discovery_->known(), "leader:1");
}

TEST_F(ClusterSideTest, EndsTheCallWhereNoNodeIsFound) {
  leader_.clear();
  gate_->Enter([this] { side_->Connect(1, false); });
  ASSERT_TRUE(asked_.Await().has_value());
  say_();
  EXPECT_EQ(ended_.Await(), (std::pair<CallNumber, EndClass>{1, EndClass::kDropped}));
  EXPECT_EQ(text_.Await(), "no node of seed:1 found; tried seed:1: not there");
}

// 3.13: what is open at a node that is isolated may never hear of it.
TEST_F(ClusterSideTest, LeavesANodeThatDoesNotServeAnyMoreForTheOneThatDoes) {
  gate_->Enter([this] { side_->Connect(1, false); });
  ASSERT_TRUE(caught_up_.Await(0).has_value());
  gate_->Enter([this] { side_->Leave("another:1", "leader:2"); });
  EXPECT_EQ(ended_.size(), 0u) << "this call is elsewhere";
  gate_->Enter([this] { side_->Leave("leader:1", "leader:2"); });
  EXPECT_EQ(ended_.Await(), (std::pair<CallNumber, EndClass>{1, EndClass::kNotLeader}));
  gate_->Enter([this] { side_->Leave("leader:1", "leader:2"); });
  gate_->Enter([this] { side_->Connect(2, false); });
  ASSERT_EQ(caught_up_.Await(1), 2u);
  gate_->Enter([this] { EXPECT_EQ(side_->address(), "leader:2"); });
  EXPECT_EQ(ended_.size(), 1u) << "each end is told once";
}

TEST_F(ClusterSideTest, ACallThatWasCancelledSaysNothingOfItsNode) {
  gate_->Enter([this] { side_->Connect(1, false); });
  ASSERT_TRUE(caught_up_.Await(0).has_value());
  gate_->Enter([this] { side_->Cancel(false); });
  ASSERT_TRUE(ended_.Await(0).has_value());
  EXPECT_EQ(discovery_->known(), "leader:1");
}

// Its node takes calls and leaves them without events, so it is looked for another one.
TEST_F(ClusterSideTest, TellsTheSearchOfANodeThatIsSilent) {
  gate_->Enter([this] { side_->Connect(1, false); });
  ASSERT_TRUE(caught_up_.Await(0).has_value());
  gate_->Enter([this] { side_->Cancel(true); });
  EXPECT_EQ(discovery_->known(), std::nullopt);
  ASSERT_TRUE(ended_.Await(0).has_value());
}

// A node that is preferred to the leader may lag behind it, and only the leader knows.
TEST_F(ClusterSideTest, ConnectsToTheLeaderForOneCallWhereAnotherNodeIsPreferred) {
  followers_ = Finder("follower:1");
  Make(followers_.get(), discovery_.get());
  Open();
  struct Call {
    CallNumber number;
    bool to_leader;
    std::string address;
  };
  for (const Call& call : std::vector<Call>{
           {1, false, "follower:1"}, {2, true, "leader:1"}, {3, false, "follower:1"}}) {
    gate_->Enter([&] { side_->Connect(call.number, call.to_leader); });
    const auto traits = traits_.Await(call.number - 1);
    ASSERT_TRUE(traits.has_value());
    EXPECT_EQ(traits->second.may_lag, !call.to_leader);
    gate_->Enter([&] { EXPECT_EQ(side_->address(), call.address); });
  }
  EXPECT_EQ(opened_at_leader_, 1);
}

TEST_F(ClusterSideTest, AShutdownCutsTheSearchShort) {
  leader_.clear();
  Told<std::string> told;
  gate_->Enter([&] {
    side_->ReadHead([&](const auto& head) { told.Tell(head.ok() ? "" : head.end().text); });
  });
  ASSERT_TRUE(asked_.Await().has_value());
  gate_->Enter([this] { side_->Shutdown(); });
  EXPECT_EQ(told.Await(), "this host is shutting down");
}

TEST_F(SourceSideTest, GoesOnWithTheOldConnectionWhereThereIsNothingLeftForAnother) {
  server_.SetUnreachable(EndOfCall{.text = "nobody is there"});
  Open();
  gate_->Enter([this] { side_->Connect(1, false); });
  ASSERT_TRUE(ended_.Await(0).has_value());
  server_.SetUnreachable(std::nullopt);

  gate_->Enter([this] {
    none_left_ = true;
    side_->Connect(2, false);
  });

  EXPECT_EQ(caught_up_.Await(), 2u);
}

TEST_F(SourceSideTest, SaysWhenTheSourceThatItMissesAnswers) {
  Open();
  gate_->Enter([this] {
    side_->Miss();
    side_->Found();
    EXPECT_EQ(watched_, (std::vector<std::string>{"miss", "found"}));
  });
  answer_();
  EXPECT_TRUE(answers_.Await().has_value());
  side_->Shutdown();
  EXPECT_EQ(watched_.back(), "left");
}

TEST_F(SourceSideTest, SaysThatACancelledCallHasEnded) {
  Open();
  gate_->Enter([this] { side_->Connect(1, false); });
  ASSERT_TRUE(caught_up_.Await().has_value());

  gate_->Enter([this] { side_->Cancel(false); });

  EXPECT_EQ(ended_.Await(), (std::pair<CallNumber, EndClass>{1, EndClass::kDropped}));
}

// It may be that connection which is not well.
TEST_F(SourceSideTest, AConnectionOfACallThatWasGivenUpIsNotUsedAgain) {
  Open();
  gate_->Enter([this] { side_->Connect(1, false); });
  ASSERT_TRUE(caught_up_.Await(0).has_value());

  gate_->Enter([this] {
    side_->Cancel(false);
    side_->Connect(2, false);
  });

  EXPECT_EQ(caught_up_.Await(1), 2u);
  EXPECT_EQ(opened_, 2);
}

TEST_F(SourceSideTest, ReadsWhatACallOwesByAnotherWayWithTheGroupsFilter) {
  config_.filter.prefixes = {"order-"};
  Open();
  gate_->Enter([this] {
    side_->Connect(1, false);
    side_->ReadNext(1, Position{300, 300});
  });
  EXPECT_EQ(asked_behind_.first, (Position{300, 300}));
  EXPECT_EQ(asked_behind_.second.prefixes, config_.filter.prefixes);

  answer_next_(std::optional(Position{400, 400}));

  EXPECT_EQ(next_.Await(), (std::pair(CallNumber{1}, std::optional(Position{400, 400}))));
}

TEST_F(SourceSideTest, AsksWhereTheLogEnds) {
  server_.Append("a");
  subscribes_ = false;
  Open();
  gate_->Enter([this] { side_->Connect(1, false); });
  ASSERT_TRUE(traits_.Await().has_value());

  gate_->Enter([this] { side_->ReadEnd(1, {900, 900}); });

  ASSERT_THAT(end_.Await(), Optional((Position{100, 100})));
}

TEST_F(SourceSideTest, AsksWhatLiesAtAPlace) {
  subscribes_ = false;
  Open();
  gate_->Enter([this] { side_->Connect(1, false); });
  ASSERT_TRUE(traits_.Await().has_value());

  gate_->Enter([this] { side_->Probe(1, {300, 300}); });

  ASSERT_THAT(probed_.Await(), Optional((Position{300, 300})));
}

TEST_F(SourceSideTest, AsksForAWitnessAtItsPlaceAndInItsStream) {
  server_.Append("a");
  subscribes_ = false;
  Open();
  gate_->Enter([this] { side_->Connect(1, false); });
  ASSERT_TRUE(traits_.Await().has_value());
  const auto witness =
      std::make_shared<const Witness>(Witness{{100, 100}, ScriptedId(1), 0, "stream"});

  gate_->Enter([&] { side_->ReadWitness(1, witness); });
  const auto first = witness_.Await();
  ASSERT_TRUE(first.has_value() && first->has_value());
  EXPECT_EQ((*first)->event_id, ScriptedId(1));

  gate_->Enter([&] { side_->ReadWitnessStream(1, witness); });
  const auto revision = revision_.Await();
  ASSERT_TRUE(revision.has_value());
  EXPECT_EQ(revision->kind, StreamRevision::Kind::kEvent);
  EXPECT_EQ(revision->event_id, ScriptedId(1));
}

}  // namespace
}  // namespace catchup
