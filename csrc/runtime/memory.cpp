// SPDX-License-Identifier: Apache-2.0
#include "runtime/memory.hpp"

#include <sys/mman.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "runtime/layout.hpp"
#include "runtime/status.hpp"

namespace dovetail {
namespace {

constexpr uint64_t kHugePage = uint64_t{2} << 20;

uint8_t* make_nothing() {
  void* page = ::mmap(nullptr, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  return page == MAP_FAILED ? nullptr : static_cast<uint8_t*>(page);
}

}  // namespace

uint8_t* const nothing = make_nothing();

Memory::Memory(uint64_t bytes, const char* what) : bytes_(bytes) {
  if (bytes < kHugePage) {
    const uint64_t rounded = round_up(std::max<uint64_t>(bytes, 1), kAlignment);
    data_ = static_cast<uint8_t*>(std::aligned_alloc(kAlignment, rounded));
    if (!data_) throw status::out_of_memory(what, bytes);
    std::memset(data_, 0, rounded);
    return;
  }
  mapped_bytes_ = bytes + kHugePage;
  void* mapping = bytes > kMaxBytes
                      ? MAP_FAILED
                      : ::mmap(nullptr, mapped_bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (mapping == MAP_FAILED) throw status::out_of_memory(what, bytes);
  mapping_ = mapping;
  data_ = reinterpret_cast<uint8_t*>(round_up(reinterpret_cast<uintptr_t>(mapping), kHugePage));
#if defined(MADV_HUGEPAGE)
  ::madvise(data_, bytes, MADV_HUGEPAGE);
#endif
}

Memory& Memory::operator=(Memory&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(mapping_, other.mapping_);
  std::swap(whole_, other.whole_);
  std::swap(bytes_, other.bytes_);
  std::swap(mapped_bytes_, other.mapped_bytes_);
  return *this;
}

Memory::~Memory() {
  if (mapping_)
    ::munmap(mapping_, mapped_bytes_);
  else if (!whole_)
    std::free(data_);
}

void Memory::keep_only(const std::vector<MemoryRange>& ranges) const {
  if (!mapping_) return;
  constexpr uintptr_t kPage = 4096;  // or a divisor of the system's: what is not aligned to pages is refused, and stays
  std::vector<std::pair<uintptr_t, uintptr_t>> kept;
  for (const MemoryRange& range : ranges) {
    const auto begin = reinterpret_cast<uintptr_t>(range.data);
    kept.emplace_back(begin / kPage * kPage, round_up(begin + range.bytes, kPage));
  }
  std::sort(kept.begin(), kept.end());
  auto from = reinterpret_cast<uintptr_t>(mapping_);
  const uintptr_t end = from + mapped_bytes_ / kPage * kPage;
  kept.emplace_back(end, end);
  for (const auto& [begin, after] : kept) {
    if (begin > from) ::madvise(reinterpret_cast<void*>(from), std::min(begin, end) - from, MADV_DONTNEED);
    from = std::max(from, after);
  }
}

Memory SharedMemory::take(uint64_t bytes, const char* what) {
  constexpr uint64_t kMostBytes = uint64_t{256} << 20;  // of a block: what is not used of it is never touched
  const uint64_t rounded = round_up(std::max<uint64_t>(bytes, 1), kAlignment);
  std::lock_guard lock(mutex_);
  if (!block_ || block_->bytes() - used_ < rounded) {
    const uint64_t block_bytes = std::min(left_, kMostBytes);
    if (block_bytes < kHugePage || block_bytes < rounded) return Memory(bytes, what);
    block_ = std::make_shared<const Memory>(block_bytes, what);
    used_ = 0;
  }
  Memory piece;
  piece.data_ = block_->data() + used_;
  piece.bytes_ = bytes;
  piece.whole_ = block_;
  used_ += rounded;
  left_ -= std::min(left_, rounded);
  return piece;
}

}  // namespace dovetail
