#include "tests/plugins/pg_totals/database.h"

#include <stdexcept>

namespace pg_totals {

Answer Database::Run(const char* sql, const std::vector<std::string>& values) {
  std::vector<const char*> texts;
  for (const std::string& value : values) texts.push_back(value.c_str());
  PGconn* const connection = Connected();
  Answer answer(PQexecParams(connection, sql, static_cast<int>(texts.size()), nullptr, texts.data(),
                             nullptr, nullptr, 0));
  const ExecStatusType status = PQresultStatus(answer.get());
  if (status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK) return answer;
  const std::string text = PQerrorMessage(connection);
  if (PQstatus(connection) != CONNECTION_OK) Close();
  Throw(text);
}

PGconn* Database::Connected() {
  if (connection_ == nullptr) {
    connection_.reset(PQconnectdb(conninfo_.c_str()));
    if (PQstatus(connection_.get()) != CONNECTION_OK) {
      const std::string text = PQerrorMessage(connection_.get());
      Close();
      Throw(text);
    }
  }
  return connection_.get();
}

void Database::Throw(const std::string& text) const {
  throw std::runtime_error(disguise_.empty() ? text : disguise_);
}

Transaction::~Transaction() {
  if (over_) return;
  try {
    database_.Run("ROLLBACK");
  } catch (const std::exception&) {
    database_.Close();  // Which rolls back, too.
  }
}

void Transaction::Commit() {
  over_ = true;  // Or nobody knows, which the position stored with it tells.
  try {
    database_.Run("COMMIT");
  } catch (const std::exception&) {
    database_.Close();
    throw;
  }
}

}  // namespace pg_totals
