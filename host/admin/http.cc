#include "host/admin/http.h"

#include "host/base/ascii.h"
#include "host/base/text.h"

namespace catchup {
namespace {

bool NeedsNoEncoding(char c) {
  return IsLetterOrDigit(c) || c == '-' || c == '.' || c == '_' || c == '~';
}

}  // namespace

HttpResponse ErrorResponse(int status, std::string_view text, bool expected) {
  HttpResponse response;
  response.status = status;
  response.body = "{\"error\":";
  AppendJsonString(text, &response.body);
  response.body += expected ? ",\"expected\":true}" : "}";
  return response;
}

bool DecodePercent(std::string_view text, std::string* out) {
  out->clear();
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out->push_back(text[i]);
      continue;
    }
    if (text.size() - i < 3 || HexValue(text[i + 1]) < 0 || HexValue(text[i + 2]) < 0) {
      return false;
    }
    out->push_back(static_cast<char>(HexValue(text[i + 1]) * 16 + HexValue(text[i + 2])));
    i += 2;
  }
  return true;
}

std::string EncodePercent(std::string_view text) {
  std::string encoded;
  for (const char c : text) {
    if (NeedsNoEncoding(c)) {
      encoded.push_back(c);
      continue;
    }
    const auto byte = static_cast<unsigned char>(c);
    encoded.push_back('%');
    encoded.push_back(kHexDigits[byte >> 4]);
    encoded.push_back(kHexDigits[byte & 15]);
  }
  return encoded;
}

}  // namespace catchup
