#include "tests/source/embedded/model/history.h"

#include <algorithm>
#include <chrono>
#include <thread>
#include <utility>

#include "tests/source/embedded/model/read_rules.h"
#include "tests/source/embedded/model/write_rules.h"

namespace catchup::embedded::model {
namespace {

constexpr std::size_t kMaxOpen = 3;

std::string TextOf(const std::vector<wire::AppendReq>& messages) {
  std::string text = "Append";
  for (const wire::AppendReq& message : messages) {
    text += "\n    " + message.ShortDebugString();
  }
  return text;
}

}  // namespace

History::History(std::uint64_t seed, const std::string& address)
    : seed_(seed), node_(address), requests_(seed, log_) {}

std::string History::Run(int steps) {
  for (step_ = 0; step_ < steps && difference_.empty(); ++step_) {
    Step();
  }
  if (difference_.empty()) {
    ShowLast();
  }
  return difference_;
}

void History::Step() {
  const std::uint64_t kind = requests_.random().Between(0, 99);
  if (kind < 50) {
    StepWrite();
  } else if (kind < 85) {
    StepRead();
  } else if (open_.size() < kMaxOpen && log_.LastVisible()) {
    Subscribe(kind < 96 ? requests_.SubscribeToAll() : requests_.SubscribeToStream());
  } else {
    CloseSome();
  }
}

void History::StepWrite() {
  const std::uint64_t kind = requests_.random().Between(0, 99);
  if (kind < 50) {
    Append(requests_.Append());
  } else if (kind < 65) {
    const wire::BatchAppendReq request = requests_.BatchAppend();
    Compare("BatchAppend " + request.ShortDebugString(), BatchAppend(request, &log_),
            [&] { return node_.BatchAppend(request); });
  } else if (kind < 75) {
    Append(requests_.Links());
  } else if (kind < 84) {
    Append(requests_.Metadata());
  } else if (kind < 92) {
    const wire::DeleteReq request = requests_.Delete();
    Compare("Delete " + request.ShortDebugString(), Delete(request, &log_),
            [&] { return node_.Delete(request); });
  } else if (kind < 94) {
    const wire::TombstoneReq request = requests_.Tombstone();
    // What a subscription to the stream sees of it, the notes do not say.
    std::erase_if(open_, [&](const Open& open) {
      return open.request.options().stream().stream_identifier().stream_name() ==
             request.options().stream_identifier().stream_name();
    });
    Compare("Tombstone " + request.ShortDebugString(), Tombstone(request, &log_),
            [&] { return node_.Tombstone(request); });
  } else {
    Append(requests_.BadAppend());
  }
  Settle();
}

void History::StepRead() {
  const std::uint64_t kind = requests_.random().Between(0, 99);
  if (kind >= 90) {
    const wire::ReadReq request = requests_.BadRead();
    if (auto refusal = Refusal(request.options())) {
      Compare("Read " + request.ShortDebugString(), *refusal, [&] { return node_.Read(request); });
    }
    return;
  }
  if (!log_.LastVisible()) {
    return;
  }
  const wire::ReadReq request = kind < 40 ? requests_.ReadStream() : requests_.ReadAll();
  Compare("Read " + request.ShortDebugString(), Read(request, log_),
          [&] { return node_.Read(request); });
}

void History::Append(const std::vector<wire::AppendReq>& messages) {
  Compare(TextOf(messages), model::Append(messages, &log_), [&] { return node_.Append(messages); });
}

void History::Subscribe(const wire::ReadReq& request) {
  const std::string text = "Subscribe " + request.ShortDebugString();
  Open open{request, std::make_unique<SubscriptionModel>(request, log_), nullptr};
  const Expectation& expected = open.model->opening();
  if (open.model->ends()) {
    Compare(text, expected, [&] { return node_.Read(request); });
    return;
  }
  const bool is_same = Compare(text, expected, [&] {
    open.call = std::make_unique<test::Subscription>(node_.client(), request);
    Answer answer;
    while (answer.frames.empty() || !answer.frames.back().starts_with("caught up")) {
      const wire::ReadResp frame = open.call->Next();
      if (frame.content_case() == wire::ReadResp::CONTENT_NOT_SET) {
        const grpc::Status status = open.call->Finish();
        answer.code = status.error_code();
        answer.message = status.error_message();
        break;
      }
      answer.frames.push_back(ToText(frame));
    }
    return answer;
  });
  if (is_same && open.model->can_follow()) {
    open_.push_back(std::move(open));
  }
}

void History::CloseSome() {
  if (!open_.empty()) {
    const std::size_t which = requests_.random().Between(0, open_.size() - 1);
    open_.erase(open_.begin() + static_cast<std::ptrdiff_t>(which));
  }
}

void History::ShowLast() {
  std::vector<wire::ReadReq> subscribed;
  for (const Open& open : open_) {
    subscribed.push_back(open.request);
  }
  for (const wire::ReadReq& request : subscribed) {
    if (const auto append = requests_.ShownBy(request); append && difference_.empty()) {
      Append(*append);
      Settle();
    }
  }
  wire::ReadReq everything = test::LogClient::ReadAll();
  if (difference_.empty()) {
    Compare("Read of everything", Read(everything, log_), [&] { return node_.Read(everything); });
  }
}

template <typename Ask>
bool History::Compare(const std::string& request, const Expectation& expected, Ask ask) {
  if (!expected.undecided.empty()) {
    return false;
  }
  return Hold(request, expected, ask());
}

void History::Settle() {
  const std::optional<std::size_t> last = log_.LastVisible();
  if (!difference_.empty() || !last) {
    return;
  }
  // Metadata that a node adds shows a little later than the reply.
  const Record& record = log_.records()[*last];
  if (record.truncate_before) {
    const std::string wanted = record.stream + "@" + std::to_string(record.revision);
    const auto deadline = std::chrono::steady_clock::now() + test::kPatience;
    std::string head = node_.Head();
    while (head != wanted && std::chrono::steady_clock::now() < deadline) {
      std::this_thread::yield();
      head = node_.Head();
    }
    wire::ReadReq request = test::LogClient::ReadAll();
    request.mutable_options()->mutable_all()->mutable_end();
    request.mutable_options()->set_read_direction(wire::ReadReq::Options::Backwards);
    request.mutable_options()->set_count(1);
    Compare("Read of what the log added", Read(request, log_), [&] { return node_.Read(request); });
  }
  for (Open& open : open_) {
    Follow(&open);
  }
}

void History::Follow(Open* open) {
  if (!difference_.empty()) {
    return;
  }
  const Expectation expected = open->model->Live();
  Answer found;
  for (std::size_t i = 0; i < expected.frames.size(); ++i) {
    found.frames.push_back(ToText(open->call->Next()));
  }
  Hold("Live frames of " + open->request.ShortDebugString(), expected, found);
}

bool History::Hold(const std::string& request, const Expectation& expected, const Answer& found) {
  if (Matches(expected, found, &log_)) {
    shown_.insert(expected.shows.begin(), expected.shows.end());
    return true;
  }
  difference_ = "seed " + std::to_string(seed_) + ", step " + std::to_string(step_) + "\n" +
                request + "\nby the notes (" + expected.rule + "):\n" + Describe(expected) +
                "found:\n" + Describe(found) + "the log:\n" + Describe(log_);
  return false;
}

}  // namespace catchup::embedded::model
