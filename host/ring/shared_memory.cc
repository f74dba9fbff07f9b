#include "host/ring/shared_memory.h"

#include <fcntl.h>
#include <sys/mman.h>

#include <cerrno>

#include "host/base/str_cat.h"

namespace catchup {

Mapping& Mapping::operator=(Mapping&& other) noexcept {
  if (this != &other) {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
  }
  return *this;
}

Mapping::~Mapping() {
  if (data_ != nullptr) {
    // Fails only for an address that was never mapped.
    (void)munmap(data_, size_);
  }
}

Result<Mapping> Mapping::Map(int fd, std::uint64_t size, Access access) {
  const int protection = access == Access::kReadWrite ? PROT_READ | PROT_WRITE : PROT_READ;
  void* address = mmap(nullptr, size, protection, MAP_SHARED, fd, 0);
  if (address == MAP_FAILED) {
    return Status::FromErrno("map shared memory (mmap)", errno);
  }
  Mapping mapping(static_cast<std::byte*>(address), size);
  if (madvise(address, size, MADV_DONTFORK) != 0) {
    return Status::FromErrno("keep shared memory from children (madvise MADV_DONTFORK)", errno);
  }
  return mapping;
}

bool Mapping::MoveAway() {
  // A second mapping of the same pages: what an old size of 0 means.
  void* moved = mremap(data_, 0, size_, MREMAP_MAYMOVE);
  if (moved == MAP_FAILED) {
    return false;
  }
  // Memory that is nobody's takes the old place, and keeps it to the end of the process.
  if (mmap(data_, size_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) ==
      MAP_FAILED) {
    (void)munmap(moved, size_);  // Fails only for an address that was never mapped.
    return false;
  }
  data_ = static_cast<std::byte*>(moved);
  return true;
}

Result<Region> CreateRegion(const std::string& name, std::uint64_t size, RegionWriters writers) {
  Region region;
  region.fd = UniqueFd(memfd_create(name.c_str(), MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!region.fd.valid()) {
    return Status::FromErrno(StrCat("create shared memory ", name, " (memfd_create)"), errno);
  }
  if (ftruncate(region.fd.get(), static_cast<off_t>(size)) != 0) {
    return Status::FromErrno(StrCat("size shared memory ", name, " (ftruncate)"), errno);
  }
  CATCHUP_ASSIGN_OR_RETURN(region.mapping,
                           Mapping::Map(region.fd.get(), size, Mapping::Access::kReadWrite));
  int seals = F_SEAL_SHRINK | F_SEAL_GROW;
  if (writers == RegionWriters::kCreatorOnly) {
    seals |= F_SEAL_FUTURE_WRITE;
  }
  if (fcntl(region.fd.get(), F_ADD_SEALS, seals | F_SEAL_SEAL) != 0) {
    return Status::FromErrno(StrCat("seal shared memory ", name, " (fcntl F_ADD_SEALS)"), errno);
  }
  return region;
}

}  // namespace catchup
