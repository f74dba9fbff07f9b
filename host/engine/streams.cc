#include "host/engine/streams.h"

#include "host/base/check.h"

namespace catchup {

std::uint32_t Streams::IdOf(std::string_view stream) {
  if (const auto found = ids_.find(stream); found != ids_.end()) {
    return found->second;
  }
  std::uint32_t id = static_cast<std::uint32_t>(streams_.size());
  if (unused_.empty()) {
    streams_.emplace_back();
  } else {
    id = unused_.back();
    unused_.pop_back();
  }
  const auto added = ids_.emplace(stream, id).first;
  streams_[id] = {.name = &added->first};
  return id;
}

void Streams::ForgetIfUnused(std::uint32_t id) {
  Stream& stream = streams_[id];
  if (stream.events == 0 && stream.busy == 0) {
    ids_.erase(ids_.find(*stream.name));
    stream = {};
    unused_.push_back(id);
  }
}

void Streams::Add(Sequence sequence, std::string_view stream) {
  if (entries_.empty()) {
    first_ = sequence;
  }
  CATCHUP_CHECK(sequence == first_ + entries_.size());
  const std::uint32_t id = IdOf(stream);
  Stream& of = streams_[id];
  entries_.push_back({.stream = id, .waits = true, .next = 0});
  ++of.events;
  if (of.first != 0) {
    At(of.last).next = sequence;
    of.last = sequence;
    return;
  }
  of.first = of.last = sequence;
  if (of.busy == 0) {
    ready_.insert(sequence);
  }
}

void Streams::Take(Sequence sequence) {
  Entry& entry = At(sequence);
  Stream& stream = streams_[entry.stream];
  CATCHUP_CHECK(entry.waits && stream.first == sequence);
  if (stream.busy++ == 0) {
    ready_.erase(sequence);
  }
  stream.first = entry.next;
  stream.last = stream.first == 0 ? 0 : stream.last;
  entry.waits = false;
  entry.next = 0;
}

// One user of the stream less.
void Streams::Free(Stream* stream) {
  if (--stream->busy == 0 && stream->first != 0) {
    ready_.insert(stream->first);
  }
}

void Streams::Done(Sequence sequence) { Free(&streams_[At(sequence).stream]); }

void Streams::GiveBack(Sequence sequence) {
  Entry& entry = At(sequence);
  Stream& stream = streams_[entry.stream];
  entry.waits = true;
  entry.next = stream.first;
  stream.first = sequence;
  stream.last = stream.last == 0 ? sequence : stream.last;
  Free(&stream);
}

void Streams::Occupy(std::string_view stream) {
  Stream& of = streams_[IdOf(stream)];
  if (of.busy++ == 0 && of.first != 0) {
    ready_.erase(of.first);
  }
}

void Streams::Vacate(std::string_view stream) {
  const auto found = ids_.find(stream);
  if (found == ids_.end()) {
    return;  // Everything was cleared meanwhile.
  }
  Free(&streams_[found->second]);
  ForgetIfUnused(found->second);
}

void Streams::Release(Sequence last) {
  for (; !entries_.empty() && first_ <= last; ++first_) {
    const std::uint32_t id = entries_.front().stream;
    entries_.pop_front();
    --streams_[id].events;
    ForgetIfUnused(id);
  }
}

void Streams::Clear() {
  entries_.clear();
  ids_.clear();
  streams_.clear();
  unused_.clear();
  ready_.clear();
}

std::string_view Streams::CheckInvariants() const {
  std::vector<std::uint32_t> events(streams_.size());
  std::size_t waiting = 0;
  for (std::size_t i = 0; i < entries_.size(); ++i) {
    ++events[entries_[i].stream];
    waiting += entries_[i].waits ? 1 : 0;
  }
  std::size_t ready = 0;
  std::size_t queued = 0;
  for (std::size_t id = 0; id < streams_.size(); ++id) {
    const Stream& stream = streams_[id];
    if (stream.events != events[id]) {
      return "a stream counts other events than it has";
    }
    if (stream.first != 0 && stream.busy == 0) {
      ++ready;
      if (ready_.count(stream.first) == 0) {
        return "a stream is free, and its first event is not ready";
      }
    }
    for (Sequence at = stream.first, before = 0; at != 0; before = at, at = At(at).next) {
      ++queued;
      if (at <= before || At(at).stream != id || !At(at).waits) {
        return "the events of a stream do not wait in their order";
      }
    }
  }
  if (ready != ready_.size() || queued != waiting) {
    return "an event is ready whose stream is not, or waits in no stream";
  }
  return {};
}

}  // namespace catchup
