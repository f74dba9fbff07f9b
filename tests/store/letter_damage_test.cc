#include <gtest/gtest.h>
#include <sqlite3.h>
#include <sys/stat.h>

#include <filesystem>
#include <random>
#include <string>

#include "tests/store/child_process.h"
#include "tests/store/letters.h"
#include "tests/test_files.h"

// Whatever happens to the bytes of a file: each letter is what was written, or a failure says so
// and names the way out. Never another letter, and never one that is missing in silence.

namespace catchup {
namespace {

constexpr std::uint64_t kLetters =
    60;  // They fill most of a file, the tables of which take a page each.

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr int kFlips = 100;
#else
constexpr int kFlips = 400;
#endif

class LetterDamageTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto store = OpenLetters(folder_.path());
    for (std::uint64_t n = 1; n <= kLetters; ++n) {
      Letter letter = Wanted(n);
      ASSERT_TRUE(store->Insert(0, {&letter, 1}).ok());
    }
    store.reset();
    good_ = WithoutRoom(ReadFile(file()));
    std::filesystem::remove(folder_.path() / "letters.db-journal");
  }

  // Without what lies behind the last page: a fault there is none.
  static std::string WithoutRoom(std::string bytes) {
    const auto digit = [&](std::size_t at) -> std::size_t {
      return static_cast<unsigned char>(bytes[at]);
    };
    const std::size_t pages = (digit(28) << 24) + (digit(29) << 16) + (digit(30) << 8) + digit(31);
    EXPECT_LT(pages * 4096, bytes.size());
    bytes.resize(pages * 4096);
    return bytes;
  }

  static Letter Wanted(std::uint64_t n) {
    Letter letter = MakeLetter(n, "order-" + std::to_string(n % 5));
    letter.data.append(n * 100, 'x');
    return letter;
  }

  std::filesystem::path file() const { return folder_.path() / "letters.db"; }

  void RunSql(const char* sql) {
    sqlite3* database = nullptr;
    ASSERT_EQ(sqlite3_open(file().c_str(), &database), SQLITE_OK);
    EXPECT_EQ(sqlite3_exec(database, sql, nullptr, nullptr, nullptr), SQLITE_OK);
    sqlite3_close(database);
  }

  Status Open() { return LetterStore::Open(folder_.path(), "g", {}).status(); }

  // Reads everything there is as a start does. Whether all of it is as it was.
  Status ReadAll() {
    auto store = LetterStore::Open(folder_.path(), "g", {});
    CATCHUP_RETURN_IF_ERROR(store.status());
    LetterReader& reader = (*store)->reader();
    std::vector<LetterHead> heads;
    CATCHUP_RETURN_IF_ERROR(reader.Scan([&](const LetterHead& head) { heads.push_back(head); }));
    std::uint64_t n = 0;
    for (const LetterHead& head : heads) {
      ++n;
      const Letter wanted = Wanted(n);
      EXPECT_EQ(head.position, wanted.head.position);
      EXPECT_EQ(head.stream, wanted.head.stream);
      CATCHUP_ASSIGN_OR_RETURN(const auto letter, reader.Read(head.position));
      if (!letter) {
        return Status::Corrupt("a letter that was scanned cannot be read");
      }
      EXPECT_EQ(letter->data, wanted.data);
      EXPECT_EQ(letter->cause.reason, wanted.cause.reason);
    }
    EXPECT_EQ(n, kLetters);
    return {};
  }

  void ExpectRefused(const std::string& found) {
    const std::string wanted =
        file().string() + ": " + found + "; restore the file from a backup, " +
        "or stop the host and move " + file().string() +
        " away: the next start says how the group goes on without the letters in it";
    EXPECT_EQ(Open().message(), wanted);
    EXPECT_EQ(LetterReader::Open(folder_.path(), "g").status().message(), wanted);
  }

  TemporaryFolder folder_;
  std::string good_;
};

TEST_F(LetterDamageTest, AFlippedBitIsFoundOrHarmless) {
  std::mt19937 random(8);
  int found = 0;
  for (int i = 0; i < kFlips; ++i) {
    std::string bytes = good_;
    bytes[random() % bytes.size()] ^= static_cast<char>(1u << random() % 8);
    WriteFile(file(), bytes);
    std::filesystem::remove(folder_.path() / "letters.db-journal");
    const Status status = ReadAll();
    if (!status.ok()) {
      ++found;
      EXPECT_NE(status.message().find(file().string()), std::string::npos) << status.message();
    }
  }
  EXPECT_GT(found, kFlips / 2);
}

TEST_F(LetterDamageTest, AFileThatWasCutIsRefused) {
  for (std::size_t size = good_.size() / 4096 - 1; size > 0; --size) {
    WriteFile(file(), good_.substr(0, size * 4096));
    EXPECT_FALSE(ReadAll().ok()) << size;
  }
}

TEST_F(LetterDamageTest, AnEmptyFileIsRefused) {
  WriteFile(file(), "");
  ExpectRefused("it is empty, wanted dead letters");
}

TEST_F(LetterDamageTest, SomethingElseIsRefused) {
  WriteFile(file(), std::string(8192, 'x'));
  const Status garbage = Open();
  EXPECT_EQ(garbage.code(), Status::Code::kCorrupt);
  EXPECT_NE(garbage.message().find("file is not a database"), std::string::npos);

  std::filesystem::remove(file());
  std::filesystem::create_directory(file());
  ExpectRefused("it is no regular file, wanted dead letters");
}

// A fence that is not known keeps no one out, and not whoever is let in.
TEST_F(LetterDamageTest, AFileWithoutAFencingTokenIsRefused) {
  RunSql("UPDATE owner SET token = -4");
  ExpectRefused("its table owner holds no fencing token, wanted a number");
  RunSql("UPDATE owner SET token = 'four'");
  ExpectRefused("its table owner holds no fencing token, wanted a number");
}

TEST_F(LetterDamageTest, NoLetterIsLeftOutOfAListBecauseAPartOfItIsGone) {
  RunSql("DELETE FROM causes WHERE id = 7");
  auto reader = LetterReader::Open(folder_.path(), "g");
  ASSERT_TRUE(reader.ok()) << reader.status().message();
  std::size_t listed = 0;
  const Status status = reader->List({}, [&](const LetterHead&, const LetterCause&) {
    ++listed;
    return Status();
  });
  EXPECT_EQ(status.code(), Status::Code::kCorrupt);
  EXPECT_NE(status.message().find("in table causes is not what was written there"),
            std::string::npos)
      << status.message();
  EXPECT_EQ(listed, 6u);
}

TEST_F(LetterDamageTest, AnotherFormatIsNamedWithOurs) {
  RunSql("PRAGMA user_version = 7");
  ExpectRefused("its format is 7, this version reads 1");
}

TEST_F(LetterDamageTest, AnotherProgramsDatabaseIsLeftAlone) {
  RunSql("PRAGMA application_id = 1");
  const std::string before = ReadFile(file());
  ExpectRefused("it is a database of something else, wanted dead letters");
  EXPECT_EQ(ReadFile(file()), before);
}

TEST_F(LetterDamageTest, TheFileOfAnotherGroupIsRefused) {
  RunSql("UPDATE owner SET name = 'h'");
  ExpectRefused("it belongs to group \"h\", wanted that of group \"g\"");
}

TEST_F(LetterDamageTest, AFileThatAHostHasOpenIsNeitherReadNorWritten) {
  ChildProcess holder({LETTER_SAVER, folder_.path().string(), "hold"});
  holder.Await(1);
  const std::string wanted = file().string() + ": another process has it open, as a host that runs";
  const auto reader = LetterReader::Open(folder_.path(), "g");
  EXPECT_EQ(reader.status().code(), Status::Code::kInUse);
  EXPECT_EQ(reader.status().message(), wanted);
}

// After a failed sync the kernel may hold as clean what the disk never got.
TEST_F(LetterDamageTest, AFileThatWasNotClosedInGoodOrderIsWrittenAnew) {
  const auto inode = [&] {
    struct stat info {};
    EXPECT_EQ(::stat(file().c_str(), &info), 0);
    return info.st_ino;
  };
  const auto first = inode();
  { const auto store = OpenLetters(folder_.path()); }
  EXPECT_EQ(inode(), first);
  ChildProcess({LETTER_SAVER, folder_.path().string(), "hold"}).KillAfter(1, 0);
  const auto store = OpenLetters(folder_.path());
  EXPECT_NE(inode(), first);
  EXPECT_EQ(Positions(&store->reader()).size(), kLetters);
  for (const char* rest : {"letters.db.new", "letters.db.new-journal", "letters.db.renewed"}) {
    EXPECT_FALSE(std::filesystem::exists(folder_.path() / rest)) << rest;
  }
}

// A kill or a power cut between the parts of that.
TEST_F(LetterDamageTest, ARenewalThatWasCutShortIsFinished) {
  std::filesystem::rename(file(), folder_.path() / "letters.db.renewed");
  WriteFile(file(), "half of the old one");
  WriteFile(folder_.path() / "letters.db.new", "half of a copy");
  WriteFile(folder_.path() / "letters.db-journal", "of the old one");
  {
    auto reader = LetterReader::Open(folder_.path(), "g");
    ASSERT_TRUE(reader.ok()) << reader.status().message();
    EXPECT_EQ(Positions(&*reader).size(), kLetters);
  }
  const auto store = OpenLetters(folder_.path());
  ASSERT_NE(store, nullptr);
  EXPECT_EQ(Positions(&store->reader()).size(), kLetters);
  EXPECT_FALSE(std::filesystem::exists(folder_.path() / "letters.db.renewed"));
  EXPECT_FALSE(std::filesystem::exists(folder_.path() / "letters.db.new"));
}

}  // namespace
}  // namespace catchup
