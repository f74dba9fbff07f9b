#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "host/base/sqlite.h"
#include "host/store/letter_store.h"
#include "host/store/letter_writer.h"

namespace catchup {

// The open file behind a LetterStore, if there is one yet: what is known of it, and the
// transactions in which it is changed. See letter_store.h for what each failure means.
struct LetterStore::State {
  State(std::filesystem::path the_folder, std::string the_group, Options the_options)
      : folder(std::move(the_folder)),
        group(std::move(the_group)),
        options(std::move(the_options)),
        reader(nullptr, folder) {}
  ~State();

  const std::filesystem::path folder;
  const std::string group;
  const Options options;

  std::optional<Connection> connection;  // None: no file.
  LetterReader reader;
  std::optional<LetterWriter> writer;
  std::optional<LetterSteps> steps;
  LetterTotals totals;
  LettersMark mark;  // But for its letters.
  std::string warning;
  std::uint64_t token = 0;
  Status dead;           // Not ok once the disk has failed.
  bool doubted = false;  // A commit has failed, and the file may hold it all the same.

  // A transaction that several changes share.
  struct Joint {
    explicit Joint(LetterTotals* of_all) : counted(of_all) {}

    LetterTotals* counted;
    Status failed;  // The first change that failed.
  };
  std::optional<Joint> joint;

  Status Load(std::optional<Connection> opened);
  Status TakeUp();
  Status TakeUpMark();
  Status MakeFile();

  // Runs `body` in a transaction; what it counts is kept if that is on the disk. Where it
  // changes nothing of letters, an earlier state of the file is as good.
  using Body = std::function<Status(LetterTotals* counted)>;
  enum class Of : std::uint8_t { kLetters, kOthers };
  Status Write(const Body& body, Of what = Of::kLetters);
  Status Join(const Body& body);
  void MakeRoom();
  Status CheckStillThere();
  Status Recount();
  Status Told(const Status& failure) const;
  Status Fail(Status failure);
  // `also` is done in the same transaction.
  Status Remove(std::uint64_t fence, Position position, const std::vector<Step>& told,
                const std::function<Status(const Letter&)>& also);
  Status AddSteps(const std::vector<Step>& told, const Letter& letter);

  // What a change under a wrong token comes to, before a file is made for it.
  Status CheckToken(std::uint64_t wanted) const;
  Status NoLetter(Position position) const;
};

}  // namespace catchup
