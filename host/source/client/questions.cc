#include "host/source/client/questions.h"

#include <fmt/core.h>
#include <grpcpp/support/slice.h>

#include <optional>
#include <string_view>
#include <utility>

#include "host/source/client/call_status.h"
#include "host/source/client/received_frame.h"
#include "host/source/proto/server_features.pb.h"

namespace catchup {
namespace {

constexpr std::string_view kLinkType = "$>";

// The course of every question that is answered in frames of a read.
template <typename T>
class Question : public ReadCall {
 public:
  using Callback = std::function<void(const Answer<T>&)>;

  Question(std::string address, Callback callback)
      : address_(std::move(address)), callback_(std::move(callback)) {}

 protected:
  // One that was decoded. What is wrong with it ends the call.
  virtual Status OnAnswer(const ReadFrame& frame) = 0;
  // What the frames come to.
  virtual Answer<T> OnEnd(const grpc::Status& status, const grpc::ClientContext& context) = 0;

  EndOfCall Ended(const grpc::Status& status, const grpc::ClientContext& context) const {
    return ClassifyEnd(address_, status, context, heard());
  }
  // The same, naming what was asked for.
  EndOfCall Ended(const char* what, const grpc::Status& status,
                  const grpc::ClientContext& context) const {
    EndOfCall end = Ended(status, context);
    end.text = fmt::format("{}: {}", what, end.text);
    return end;
  }

 private:
  bool OnFrame(grpc::ByteBuffer* buffer) final {
    grpc::Slice bytes;
    ReadFrame frame;
    Status status = TakeFrame(buffer, &bytes, &frame);
    if (status.ok()) {
      status = OnAnswer(frame);
    }
    if (!status.ok()) {
      Abort(BadFrame(status));
    }
    return true;
  }

  void OnFinished(const grpc::Status& status, const grpc::ClientContext& context) final {
    callback_(OnEnd(status, context));
    callback_ = nullptr;
  }

  const std::string address_;
  Callback callback_;
};

// A server that does not know an event's place sends 2^64-1 for it.
Result<FirstRecord> RecordOf(const EventView& event) {
  if (!IsPlace(event.position)) {
    return Status::Invalid(
        fmt::format("malformed frame: an event at {}, which is no place in a log",
                    FormatPosition(event.position)));
  }
  return FirstRecord{event.position, event.id, event.type == kLinkType};
}

class FirstCall final : public Question<std::optional<FirstRecord>> {
 public:
  using Question::Question;

 private:
  Status OnAnswer(const ReadFrame& frame) override {
    if (frame.kind == ReadFrame::Kind::kEvent && !first_.has_value()) {
      CATCHUP_ASSIGN_OR_RETURN(first_, RecordOf(frame.event));
    }
    return {};
  }
  Answer<std::optional<FirstRecord>> OnEnd(const grpc::Status& status,
                                           const grpc::ClientContext& context) override {
    if (!status.ok()) {
      return Ended(status, context);
    }
    return first_;
  }

  std::optional<FirstRecord> first_;
};

class HeadCall final : public Question<std::optional<Witness>> {
 public:
  using Question::Question;

 private:
  Status OnAnswer(const ReadFrame& frame) override {
    if (frame.kind == ReadFrame::Kind::kEvent && !head_.has_value()) {
      CATCHUP_ASSIGN_OR_RETURN(const FirstRecord newest, RecordOf(frame.event));
      head_ = Witness{newest.position, newest.event_id, frame.event.revision,
                      std::string(frame.event.stream)};
    }
    return {};
  }
  Answer<std::optional<Witness>> OnEnd(const grpc::Status& status,
                                       const grpc::ClientContext& context) override {
    if (!status.ok()) {
      return Ended("read the head of the log", status, context);
    }
    return head_;
  }

  std::optional<Witness> head_;
};

class NextCall final : public Question<std::optional<Position>> {
 public:
  NextCall(std::string address, const std::optional<Position>& behind, Callback callback)
      : Question(std::move(address), std::move(callback)), behind_(behind) {}

 private:
  Status OnAnswer(const ReadFrame& frame) override {
    if (frame.kind == ReadFrame::Kind::kEvent && !next_.has_value()) {
      CATCHUP_ASSIGN_OR_RETURN(const FirstRecord found, RecordOf(frame.event));
      if (found.position > behind_) {
        next_ = found.position;
      }
    }
    return {};
  }
  Answer<std::optional<Position>> OnEnd(const grpc::Status& status,
                                        const grpc::ClientContext& context) override {
    if (!status.ok()) {
      return Ended("read the next event", status, context);
    }
    return next_;
  }

  const std::optional<Position> behind_;
  std::optional<Position> next_;
};

// A subscription from the end of the log, of which only where that is is of interest.
class EndCall final : public Question<std::optional<Position>> {
 public:
  using Question::Question;

 private:
  Status OnAnswer(const ReadFrame& frame) override {
    if (frame.kind == ReadFrame::Kind::kCaughtUp) {
      answered_ = true;
      if (frame.position.has_value() && IsPlace(*frame.position)) {
        end_ = frame.position;
      }
      Cancel();
    }
    return {};
  }
  Answer<std::optional<Position>> OnEnd(const grpc::Status& status,
                                        const grpc::ClientContext& context) override {
    if (!answered_) {
      return Ended("read the end of the log", status, context);
    }
    return end_;
  }

  bool answered_ = false;
  std::optional<Position> end_;
};

// Reads one event of a stream at a revision or behind it. Servers that do not say where the stream
// ends leave it open whether it ends below.
class RevisionCall final : public Question<StreamRevision> {
 public:
  RevisionCall(std::string address, std::uint64_t revision, Callback callback)
      : Question(std::move(address), std::move(callback)), revision_(revision) {}

 private:
  Status OnAnswer(const ReadFrame& frame) override {
    if (frame.kind == ReadFrame::Kind::kEvent && frame.event.revision == revision_) {
      found_ = {StreamRevision::Kind::kEvent, frame.event.id};
    } else if (frame.kind == ReadFrame::Kind::kStreamEnd && frame.last_revision < revision_) {
      found_ = {StreamRevision::Kind::kEndsBelow, {}};
    }
    return {};
  }
  Answer<StreamRevision> OnEnd(const grpc::Status& status,
                               const grpc::ClientContext& context) override {
    // Whoever may read the whole log may still be kept from a stream.
    const bool gone = ServerException(context) == "stream-deleted" ||
                      status.error_code() == grpc::StatusCode::PERMISSION_DENIED;
    if (!status.ok() && !gone) {
      return Ended("read a stream of the log", status, context);
    }
    return status.ok() ? found_ : StreamRevision();
  }

  const std::uint64_t revision_;
  StreamRevision found_;
};

class VersionCall final : public ReadCall {
 public:
  VersionCall(std::string address, Source::VersionCallback callback)
      : address_(std::move(address)), callback_(std::move(callback)) {}

 private:
  bool OnFrame(grpc::ByteBuffer* buffer) override {
    grpc::Slice bytes;
    event_store::client::server_features::SupportedMethods methods;
    if (TakeBytes(buffer, &bytes) &&
        methods.ParseFromArray(bytes.begin(), static_cast<int>(bytes.size()))) {
      version_ = methods.event_store_server_version();
    } else {
      Abort(BadFrame(Status::Invalid("malformed answer to the question for the version")));
    }
    return true;
  }

  void OnFinished(const grpc::Status& status, const grpc::ClientContext& context) override {
    const bool unknown = status.error_code() == grpc::StatusCode::UNIMPLEMENTED ||
                         status.error_code() == grpc::StatusCode::NOT_FOUND;
    if (status.ok() || unknown) {
      callback_(version_);
    } else {
      callback_(ClassifyEnd(address_, status, context, heard()));
    }
    callback_ = nullptr;
  }

  const std::string address_;
  Source::VersionCallback callback_;
  std::string version_;
};

}  // namespace

std::shared_ptr<ReadCall> HeadQuestion(std::string address, Source::HeadCallback callback) {
  return std::make_shared<HeadCall>(std::move(address), std::move(callback));
}

std::shared_ptr<ReadCall> EndQuestion(std::string address, Source::PlaceCallback callback) {
  return std::make_shared<EndCall>(std::move(address), std::move(callback));
}

std::shared_ptr<ReadCall> FirstQuestion(std::string address, Source::FirstCallback callback) {
  return std::make_shared<FirstCall>(std::move(address), std::move(callback));
}

std::shared_ptr<ReadCall> NextQuestion(std::string address, const std::optional<Position>& behind,
                                       Source::PlaceCallback callback) {
  return std::make_shared<NextCall>(std::move(address), behind, std::move(callback));
}

std::shared_ptr<ReadCall> RevisionQuestion(std::string address, std::uint64_t revision,
                                           Source::RevisionCallback callback) {
  return std::make_shared<RevisionCall>(std::move(address), revision, std::move(callback));
}

std::shared_ptr<ReadCall> VersionQuestion(std::string address, Source::VersionCallback callback) {
  return std::make_shared<VersionCall>(std::move(address), std::move(callback));
}

}  // namespace catchup
