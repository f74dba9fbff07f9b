// Rows of the two databases with values of any type and size, as damage or other hands leave them;
// and letters of any content, which read as they were written.
#include <string>

#include "host/base/check.h"
#include "host/base/sqlite.h"
#include "host/source/embedded/log/log_reader.h"
#include "host/store/letter_rows.h"
#include "tests/fuzz/input.h"

namespace catchup {
namespace {

Connection& Memory() {
  static Connection memory = [] {
    auto opened = Connection::Open(":memory:", Connection::Mode::kCreate, "rows");
    CATCHUP_CHECK(opened.ok());
    CATCHUP_CHECK(opened
                      ->Execute("CREATE TABLE records (position INTEGER PRIMARY KEY, revision, "
                                "created, is_json, id, stream, type, metadata, data, continues)")
                      .ok());
    return *std::move(opened);
  }();
  return memory;
}

// "SELECT ?1, ?2, …": one row of what is bound.
Statement Row(int columns) {
  std::string sql = "SELECT ?1";
  for (int i = 2; i <= columns; ++i) {
    sql.append(", ?").append(std::to_string(i));
  }
  auto prepared = Memory().Prepare(sql);
  CATCHUP_CHECK(prepared.ok());
  return *std::move(prepared);
}

void BindAny(fuzz::Input* input, int index, Statement* statement) {
  switch (input->Take<std::uint8_t>() % 4) {
    case 0:
      statement->BindNull(index);
      break;
    case 1:
      statement->Bind(index, input->Take<std::int64_t>());
      break;
    case 2:
      statement->BindText(index, input->TakeText());
      break;
    default:
      statement->BindBlob(index, input->TakeText());
  }
}

void ReadLetterRows(fuzz::Input* input) {
  const int columns = kHeadCount + kCauseCount + kEventCount;
  Statement row = Row(columns);
  for (int i = 1; i <= columns; ++i) {
    BindAny(input, i, &row);
  }
  CATCHUP_CHECK(*row.Step());
  Letter letter;
  for (const Status& status : {ReadHead(row, 0, &letter.head),
                               ReadCause(row, kHeadCount, letter.head.position, &letter.cause),
                               ReadEvent(row, kHeadCount + kCauseCount, &letter)}) {
    CATCHUP_CHECK(status.ok() || status.code() == Status::Code::kCorrupt);
  }
  LetterHold hold;
  (void)ReadHold(row, 0, &hold);
}

LetterHead AnyHead(fuzz::Input* input) {
  LetterHead head;
  head.position = {input->Take<std::uint64_t>(), input->Take<std::uint64_t>()};
  head.stream = input->TakeText();
  head.type = input->TakeText();
  head.revision = input->Take<std::uint64_t>();
  head.created_ticks = input->Take<std::int64_t>();
  head.is_json = input->Take<std::uint8_t>() % 2 == 0;
  head.due_ticks = input->Take<std::int64_t>();
  head.attempts = input->Take<std::uint32_t>();
  head.bytes = input->Take<std::uint64_t>();
  return head;
}

void WriteAndReadLetter(fuzz::Input* input) {
  Letter letter;
  letter.head = AnyHead(input);
  letter.cause.reason = input->TakeText();
  letter.cause.plugin = input->TakeText();
  letter.cause.token = input->Take<std::uint64_t>();
  while (!input->empty() && letter.cause.calls.size() < kMaxLetterCalls) {
    letter.cause.calls.push_back(
        {input->Take<std::int64_t>(), StoredClass::kUnknown, std::string(input->TakeText())});
  }
  Scratch scratch;
  Statement row = Row(kHeadCount + kCauseCount);
  BindHead(letter.head, 1, &row, &scratch);
  BindCause(letter.head.position, letter.cause, 1 + kHeadCount, &row, &scratch);
  CATCHUP_CHECK(*row.Step());
  Letter read;
  CATCHUP_CHECK(ReadHead(row, 0, &read.head).ok());
  CATCHUP_CHECK(ReadCause(row, kHeadCount, read.head.position, &read.cause).ok());
  CATCHUP_CHECK(read.head.position == letter.head.position);
  CATCHUP_CHECK(read.head.stream == letter.head.stream && read.head.type == letter.head.type);
  CATCHUP_CHECK(read.cause.reason == letter.cause.reason);
  CATCHUP_CHECK(read.cause.calls.size() == letter.cause.calls.size());
}

void DrainCursor(embedded::LogReader::Cursor cursor) {
  EventView event;
  for (;;) {
    const auto more = cursor.Next(&event);
    if (!more.ok() || !*more) {
      return;
    }
  }
}

// A few records, asked for in every way.
void ReadRecords(fuzz::Input* input) {
  CATCHUP_CHECK(Memory().Execute("DELETE FROM records").ok());
  {
    auto insert = Memory().Prepare(
        "INSERT OR REPLACE INTO records VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)");
    CATCHUP_CHECK(insert.ok());
    for (std::int64_t record = 0; record < 3 && !input->empty(); ++record) {
      insert->Bind(1, input->Take<std::uint8_t>() % 2 == 0 ? record : input->Take<std::int64_t>());
      for (int i = 2; i <= 10; ++i) {
        BindAny(input, i, &*insert);
      }
      CATCHUP_CHECK(insert->Run().ok());
    }
  }
  auto reader = embedded::LogReader::Over(Memory());
  CATCHUP_CHECK(reader.ok());
  DrainCursor(reader->Forwards(0, ~std::uint64_t{0}));
  DrainCursor(reader->Backwards(~std::uint64_t{0}));
  (void)reader->ReadTail();
  for (const std::string_view stream : {"s", "$$s", ""}) {
    DrainCursor(reader->StreamForwards(stream, 0));
    DrainCursor(reader->StreamBackwards(stream, 5));
    if (const auto state = reader->Stream(stream); state.ok()) {
      (void)state->Shows(1, 1, 2);
    }
  }
}

}  // namespace
}  // namespace catchup

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  using namespace catchup;
  fuzz::Input input(bytes, size);
  switch (input.Take<std::uint8_t>() % 3) {
    case 0:
      ReadLetterRows(&input);
      break;
    case 1:
      WriteAndReadLetter(&input);
      break;
    default:
      ReadRecords(&input);
  }
  return 0;
}
