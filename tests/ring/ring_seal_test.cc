#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <string>

#include "tests/ring/ring_pair.h"

namespace catchup {
namespace {

// What a runner can try with the descriptors it inherits. Seals belong to the memory, not to the
// descriptor, so that another process changes nothing about it.
class RingSealTest : public testing::Test {
 protected:
  RingSealTest() : host_(std::move(HostEnd::Create("test")).value()) {}

  HostEnd::Descriptors fds() const { return host_->descriptors(); }

  static void ExpectNotWritable(int fd) {
    EXPECT_EQ(mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0), MAP_FAILED);
    const char byte = 1;
    EXPECT_EQ(pwrite(fd, &byte, 1, 0), -1);
    EXPECT_EQ(errno, EPERM);
    EXPECT_EQ(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096), -1);
    void* read_only = mmap(nullptr, 4096, PROT_READ, MAP_SHARED, fd, 0);
    ASSERT_NE(read_only, MAP_FAILED);
    EXPECT_EQ(mprotect(read_only, 4096, PROT_READ | PROT_WRITE), -1);
    EXPECT_EQ(munmap(read_only, 4096), 0);
  }

  static void ExpectNotResizable(int fd) {
    EXPECT_EQ(ftruncate(fd, 0), -1);
    EXPECT_EQ(errno, EPERM);
    EXPECT_EQ(ftruncate(fd, 1 << 30), -1);
    EXPECT_EQ(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), -1);
  }

  // The same memory through a descriptor of the runner's own.
  static UniqueFd Reopened(int fd) {
    const std::string path = "/proc/self/fd/" + std::to_string(fd);
    return UniqueFd(open(path.c_str(), O_RDWR | O_CLOEXEC));
  }

  std::unique_ptr<HostEnd> host_;
};

TEST_F(RingSealTest, EventRingAndLargeRegionCannotBeWrittenByTheRunner) {
  for (const int fd : {fds().event_ring, fds().large_region}) {
    SCOPED_TRACE(fd);
    ExpectNotWritable(fd);
    if (const UniqueFd again = Reopened(fd); again.valid()) {
      ExpectNotWritable(again.get());
      ExpectNotResizable(again.get());
    }
  }
}

TEST_F(RingSealTest, TheRunnersOwnMappingOfEventsIsReadOnly) {
  const HostEnd::Descriptors inherited = fds();
  const auto mapping =
      std::move(Mapping::Map(inherited.event_ring, kRingHeaderBytes, Mapping::Access::kReadOnly))
          .value();
  EXPECT_EQ(mprotect(mapping.data(), kRingHeaderBytes, PROT_READ | PROT_WRITE), -1);
  EXPECT_FALSE(
      Mapping::Map(inherited.event_ring, kRingHeaderBytes, Mapping::Access::kReadWrite).ok());
}

// A region that shrinks under a mapping kills whoever touches it.
TEST_F(RingSealTest, NoRegionCanBeResizedNorSealedFurther) {
  for (const int fd : {fds().event_ring, fds().outcome_ring, fds().large_region}) {
    SCOPED_TRACE(fd);
    ExpectNotResizable(fd);
  }
}

TEST_F(RingSealTest, TheHostKeepsWritingWhatItMapped) {
  ASSERT_TRUE(host_->WriteEvent(EventWithData("still written"), 1));
  ASSERT_TRUE(host_->WriteEvent(EventWithData(std::string(1 << 20, 'l')), 1));
  host_->Publish();
  const auto runner =
      std::move(RunnerEnd::Open(fds().event_ring, fds().outcome_ring, fds().large_region,
                                fds().runner_wake, fds().host_wake))
          .value();
  EXPECT_EQ(DataOf(runner->Peek().value()), "still written");
}

TEST_F(RingSealTest, DescriptorsAreNotInheritedByAccident) {
  const HostEnd::Descriptors all = fds();
  for (const int fd :
       {all.event_ring, all.outcome_ring, all.large_region, all.runner_wake, all.host_wake}) {
    EXPECT_NE(fcntl(fd, F_GETFD) & FD_CLOEXEC, 0);
  }
}

}  // namespace
}  // namespace catchup
