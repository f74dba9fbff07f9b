#include "host/engine/trouble.h"

namespace catchup {

void Trouble::End() {
  text_.clear();
  doubted_type_.reset();
}

void Trouble::OnFailure(FailureClass failure, const std::optional<std::string_view>& type) {
  if (IsInDoubt(failure) && type) {
    doubted_type_ = *type;
  } else if (failure != FailureClass::kDomain) {
    doubted_type_.reset();
  }
}

}  // namespace catchup
