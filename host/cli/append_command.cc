#include <fmt/core.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "host/base/check.h"
#include "host/base/shortage.h"
#include "host/base/signals.h"
#include "host/base/time_text.h"
#include "host/base/wait.h"
#include "host/cli/commands.h"
#include "host/cli/event_file.h"
#include "host/cli/find_node.h"
#include "host/cli/run_token.h"
#include "host/config/credentials.h"
#include "host/config/source_uri.h"
#include "host/config/tls_files.h"
#include "host/daemon/source/server_connection.h"
#include "host/source/client/event_writer.h"

namespace catchup {
namespace {

// How far before a run began its events may be dated: the clocks of two machines are closer.
constexpr std::int64_t kClockSlackTicks = 10 * 60 * kTicksPerSecond;

// Lines taken between two looks at answers and signals.
constexpr int kLinesAtATime = 1024;

Result<std::shared_ptr<Credentials>> FindAppendCredentials(const SourceUri& uri,
                                                           const std::string& file) {
  constexpr std::string_view kOption = "--credentials-file";
  CredentialsFile named;
  if (!file.empty()) {
    CATCHUP_ASSIGN_OR_RETURN(named, NameCredentialsFile(kOption, file));
  }
  return FindCredentials(uri, named);
}

// One append: from the file to the writer, until the file ends, something fails or somebody stops
// it.
class Run {
 public:
  Run(EventFile* file, EventWriter* writer, Appender* appender, SignalInbox* signals)
      : file_(file), writer_(writer), appender_(appender), signals_(signals) {}

  // Why it ended; ok once the whole file is written.
  Status Go() {
    while (true) {
      TakeLines();
      writer_->Send();
      if (done_reading_ && writer_->idle()) {
        return end_;
      }
      Wait();
      if (const Status taken = writer_->TakeAnswers(); !taken.ok()) {
        // Whatever it was stopped for before, this is why it came no further.
        end_ = taken;
        done_reading_ = true;
      }
      if (forced_) {
        return Status::Cancelled(end_.message() + ", twice: what was on its way may be written");
      }
    }
  }

  // Nobody reads standard output any more.
  bool output_lost() const { return output_lost_; }

 private:
  void TakeLines() {
    for (int i = 0; i < kLinesAtATime && !done_reading_ && writer_->HasRoom(); ++i) {
      const auto line = file_->NextRead();
      if (!line.ok()) {
        // What stands before the bad line is good and was asked for.
        end_ = line.status();
        done_reading_ = true;
      } else if (*line != nullptr) {
        waits_for_input_ = false;
        Add(**line);
      } else {
        waits_for_input_ = !file_->at_end();
        done_reading_ = file_->at_end() || stopping_;
        return;
      }
    }
  }

  void Add(const EventFile::Line& from) {
    NewEvent event;
    event.id = from.id;
    event.type = from.event.type;
    event.data = from.event.data;
    event.metadata = from.event.metadata;
    event.is_json = from.event.is_json;
    writer_->Add(from.event.stream, std::move(event), from.number, from.given_id);
  }

  // Waits for an answer, a line, a signal, or the end of whoever reads our output.
  void Wait() {
    const bool wants_line = !done_reading_ && writer_->HasRoom();
    std::array<pollfd, 4> fds = {
        {{signals_->fd(), POLLIN, 0},
         {appender_->wake(), POLLIN, 0},
         {watches_output_ && !stopping_ ? STDOUT_FILENO : -1, 0, 0},
         {wants_line && waits_for_input_ && !stopping_ ? file_->fd() : -1, POLLIN, 0}}};
    int wait_ms = wants_line && !waits_for_input_ ? 0 : -1;
    if (const auto deadline = appender_->deadline(); deadline.has_value() && wait_ms != 0) {
      const auto left = std::chrono::ceil<std::chrono::milliseconds>(
          *deadline - std::chrono::steady_clock::now());
      wait_ms = static_cast<int>(std::max<std::int64_t>(left.count(), 0));
    }
    (void)PollOrPause(fds.data(), fds.size(), wait_ms);
    if (const auto signal = signals_->Take(); signal.has_value()) {
      forced_ = stopping_;
      Stop("stopped by " + SignalName(signal->number));
    }
    // A descriptor that was closed from the start has no reader to lose.
    watches_output_ = watches_output_ && (fds[2].revents & POLLNVAL) == 0;
    if ((fds[2].revents & (POLLERR | POLLHUP)) != 0) {
      output_lost_ = true;
      Stop("stopped: nobody reads standard output any more");
    }
    if (fds[3].revents != 0) {
      file_->ReadMore();
      waits_for_input_ = false;
    }
  }

  // What was taken from a pipe is written: nobody could read it again.
  void Stop(std::string why) {
    if (!stopping_ && end_.ok()) {
      end_ = Status::Cancelled(std::move(why));
    }
    stopping_ = true;
    done_reading_ = done_reading_ || file_->is_regular();
  }

  EventFile* const file_;
  EventWriter* const writer_;
  Appender* const appender_;
  SignalInbox* const signals_;
  bool watches_output_ = true;
  bool output_lost_ = false;
  bool waits_for_input_ = false;
  bool done_reading_ = false;
  bool stopping_ = false;
  bool forced_ = false;
  Status end_;
};

int SayHowItEnded(const AppendArguments& arguments, const RunToken& token, const EventFile& file,
                  const EventWriter& writer, const Status& end, bool output_lost) {
  const std::uint64_t next_line =
      std::max(writer.first_open_line().value_or(file.next_line()), arguments.from_line);
  const std::string summary = fmt::format("written {}, already there {}, next line {}\n",
                                          writer.written(), writer.already_there(), next_line);
  // Whether that could be written is seen, and said, when all output is flushed.
  std::fputs(summary.c_str(), stdout);
  if (end.ok()) {
    return kExitDone;
  }
  std::fprintf(stderr, "%s\n", end.message().c_str());
  if (output_lost) {
    std::fputs(summary.c_str(), stderr);
  }
  if (!file.is_regular() && file.unfinished_bytes() != 0) {
    std::fprintf(stderr, "line %llu was read in part and is not written\n",
                 static_cast<unsigned long long>(file.next_line()));
  }
  std::fprintf(stderr, "to go on: --resume %s --from-line %llu\n", token.text.c_str(),
               static_cast<unsigned long long>(next_line));
  return kExitFailed;
}

int AppendTo(const ConnectionOptions& connection, const AppendArguments& arguments,
             const RunToken& token, SignalInbox* signals, EventFile* file) {
  const auto opened = Appender::Open(connection);
  if (!opened.ok()) {
    std::fprintf(stderr, "%s\n", opened.status().message().c_str());
    return kExitFailed;
  }
  Appender* const appender = opened->get();
  EventWriter::Options options;
  if (!arguments.resume.empty()) {
    options.resume_since = token.begin_ticks - kClockSlackTicks;
  }
  EventWriter writer(appender, options);
  std::fprintf(stderr, "run %s\n", token.text.c_str());
  Run run(file, &writer, appender, signals);
  const Status end = run.Go();
  // The line behind the last is where an append of the whole file says to go on.
  if (end.ok() && file->next_line() < arguments.from_line) {
    std::fprintf(stderr, "--from-line %llu: %s has %llu lines\n",
                 static_cast<unsigned long long>(arguments.from_line), arguments.events.c_str(),
                 static_cast<unsigned long long>(file->next_line() - 1));
    return kExitFailed;
  }
  return SayHowItEnded(arguments, token, *file, writer, end, run.output_lost());
}

}  // namespace

int AppendCommand(const AppendArguments& arguments) {
  const auto uri = ParseSourceUri(arguments.to);
  const Status fit = uri.ok() ? CheckTlsFiles(uri->settings) : uri.status();
  if (!fit.ok()) {
    std::fprintf(stderr, "--to: %s\n", fit.message().c_str());
    return kExitUsage;
  }
  const auto credentials = FindAppendCredentials(*uri, arguments.credentials_file);
  if (!credentials.ok()) {
    std::fprintf(stderr, "%s\n", credentials.status().message().c_str());
    return kExitUsage;
  }
  std::vector<std::string> warnings = uri->warnings;
  if (std::string readable = WarnOfReadablePassword(*uri);
      *credentials != nullptr && !readable.empty()) {
    warnings.push_back(std::move(readable));
  }
  for (const std::string& warning : warnings) {
    std::fprintf(stderr, "warning: --to: %s\n", warning.c_str());
  }
  const std::optional<RunToken> token =
      arguments.resume.empty() ? NewRunToken() : ParseRunToken(arguments.resume);
  if (!token.has_value()) {
    std::fprintf(stderr,
                 "--resume %s: wanted the TOKEN of the line \"run TOKEN\" that an append printed "
                 "first, as in %s\n",
                 arguments.resume.c_str(), NewRunToken().text.c_str());
    return kExitUsage;
  }
  auto file = EventFile::Open(arguments.events);
  if (!file.ok()) {
    std::fprintf(stderr, "%s\n", file.status().message().c_str());
    return kExitFailed;
  }
  file->SeedIds(token->text);
  file->SkipTo(arguments.from_line);
  if (const Status room = ProveDescriptors(kLibraryDescriptors); !room.ok()) {
    std::fprintf(stderr, "%s\n", room.message().c_str());
    return kExitFailed;
  }
  auto signals = SignalInbox::OpenForCommand();  // Before any thread is made.
  if (!signals.ok()) {
    std::fprintf(stderr, "%s\n", signals.status().message().c_str());
    return kExitFailed;
  }
  if (const Status needs = ProveLibraryNeeds(); !needs.ok()) {
    std::fprintf(stderr, "%s\n", needs.message().c_str());
    return kExitFailed;
  }
  const auto target = OpenTarget(*uri, *credentials, &*signals);
  if (!target.ok()) {
    std::fprintf(stderr, "%s: %s\n", arguments.to.c_str(), target.status().message().c_str());
    return kExitFailed;
  }
  return AppendTo(ServerConnection(uri->settings, target->address, "append", *credentials),
                  arguments, *token, &*signals, &*file);
}

}  // namespace catchup
