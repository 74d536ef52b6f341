// SPDX-License-Identifier: Apache-2.0
// Kernels that make one result of many elements: who computes which result, and how threads join what they have.
// A kernel is written once, for a team; the host picks warps, blocks or columns by the shape.
#ifndef DOVETAIL_KERNELS_REDUCE_CUDA_REDUCE_CUH
#define DOVETAIL_KERNELS_REDUCE_CUDA_REDUCE_CUH

#include <type_traits>

#include "dovetail/cuda.hpp"
#include "kernels/reduce/reduction.hpp"

DOVETAIL_OPEN_NAMESPACE

// Axes with their dividers: element `index` of them lies at offset(index).
struct ReductionAxes {
  int n = 0;
  ReductionAxis axis[kReductionRank] = {};
  Divider by[kReductionRank];

  ReductionAxes() = default;
  ReductionAxes(const ReductionAxis* axes, int count, int64_t largest) : n(count) {
    for (int i = 0; i < n; ++i) {
      axis[i] = axes[i];
      by[i] = Divider(axes[i].n > 0 ? axes[i].n : 1, largest);
    }
  }
  DOVETAIL_HOST_DEVICE int64_t offset(int64_t index, int64_t* other) const {
    int64_t at = 0, at_other = 0;
    DOVETAIL_ROLLED
    for (int i = n - 1; i > 0; --i) {
      int64_t rest;
      index = by[i].split(index, &rest);
      at += rest * axis[i].step;
      at_other += rest * axis[i].other;
    }
    if (n > 0) {
      at += index * axis[0].step;
      at_other += index * axis[0].other;
    }
    *other = at_other;
    return at;
  }
  DOVETAIL_HOST_DEVICE int64_t offset(int64_t index) const {
    int64_t other;
    return offset(index, &other);
  }
};

// kWarps: 32 neighbouring threads a result. kBlocks: all 256 of a block. kColumns: 8 threads in 8 warps a result, so
// that 32 neighbouring threads read neighbouring columns.
enum class Team : int32_t { kWarps, kBlocks, kColumns };

struct CudaReduction {
  ReductionAxes kept, reduced;
  int64_t results = 0, count = 0;
  Team team = Team::kBlocks;

  explicit CudaReduction(const Reduction& r)
      : kept(r.kept, r.n_kept, r.results),
        reduced(r.reduced, r.n_reduced, r.count),
        results(r.results),
        count(r.count) {
    const bool has_columns = !r.inner_is_reduced && r.n_kept > 0 && r.kept[r.n_kept - 1].n >= 8;
    team = has_columns ? Team::kColumns : count <= 1024 ? Team::kWarps : Team::kBlocks;
  }
  int64_t blocks() const {
    return team == Team::kBlocks ? results : divide_up(results, team == Team::kWarps ? kBlock / 32 : 32);
  }
};

constexpr int kElementsHeld = 8;  // that a thread keeps in registers

#ifdef __CUDACC__

constexpr int kColumnThreads = kBlock / 32;

struct Adding {
  template <class T>
  __device__ T operator()(T a, T b) const {
    return a + b;
  }
};
// NaN where either is.
struct TakingMax {
  template <class T>
  __device__ T operator()(T a, T b) const {
    return (b > a) | (b != b) ? b : a;
  }
};

// Which result this thread works for, as number `rank` of `size`.
template <Team team>
struct Member {
  int64_t result;
  int rank;
  static constexpr int size = team == Team::kWarps ? 32 : team == Team::kBlocks ? kBlock : kColumnThreads;

  // `block` as if the grid were as large as there is work
  __device__ explicit Member(int64_t block) {
    const int thread = static_cast<int>(threadIdx.x);
    if (team == Team::kWarps) {
      result = block * (kBlock / 32) + thread / 32;
      rank = thread % 32;
    } else if (team == Team::kBlocks) {
      result = block;
      rank = thread;
    } else {
      result = block * 32 + thread % 32;
      rank = thread / 32;
    }
  }

  // v of all members joined, in each of them; all threads of the block call it.
  template <class T, class Join>
  __device__ T join(T v, const Join& with) const {
    if (team != Team::kColumns) {
#pragma unroll
      for (int other = 16; other > 0; other /= 2) v = with(v, __shfl_xor_sync(0xffffffffu, v, other));
    }
    if (team == Team::kWarps) return v;
    __shared__ T parts[kBlock];
    const int thread = static_cast<int>(threadIdx.x);
    __syncthreads();  // those who still read the parts of the call before
    if (team == Team::kColumns) {
      parts[thread] = v;
    } else if (thread % 32 == 0) {
      parts[thread / 32] = v;
    }
    __syncthreads();
    const int first = team == Team::kColumns ? thread % 32 : 0, step = team == Team::kColumns ? 32 : 1;
    v = parts[first];
#pragma unroll
    for (int i = 1; i < kColumnThreads; ++i) v = with(v, parts[first + i * step]);
    return v;
  }
};

// f(i) for the elements i of this member, joined into one; partial results of 32, and of 32 times
// 32 elements, bound the error of long sums.
template <class T, class M, class Join, class F>
__device__ T gather(const M& member, int64_t count, T identity, const Join& with, const F& f) {
  T total = identity;
  for (int64_t i = member.rank; i < count;) {
    T group = identity;
    for (int g = 0; g < 32 && i < count; ++g) {
      T part = identity;
      for (int k = 0; k < 32 && i < count; ++k, i += M::size) part = with(part, f(i));
      group = with(group, part);
    }
    total = with(total, group);
  }
  return total;
}

// The elements of a member, kept in registers between passes where they are few.
template <bool is_held, class M, class Load>
struct Elements {
  const M& member;
  int64_t count;
  const Load& load;
  float held[is_held ? kElementsHeld : 1];

  __device__ Elements(const M& m, int64_t n, const Load& l) : member(m), count(n), load(l) {
    if constexpr (is_held) {
#pragma unroll
      for (int k = 0; k < kElementsHeld; ++k) {
        const int64_t i = member.rank + k * M::size;
        held[k] = i < count ? load(i) : 0.0f;
      }
    }
  }
  // f(value) of all members' elements, joined.
  template <class Join, class F>
  __device__ float join(float identity, const Join& with, const F& f) const {
    if constexpr (is_held) {
      float v = identity;
#pragma unroll
      for (int k = 0; k < kElementsHeld; ++k) {
        if (member.rank + k * M::size < count) v = with(v, f(held[k]));
      }
      return member.join(v, with);
    } else {
      return member.join(gather(member, count, identity, with, [&](int64_t i) { return f(load(i)); }), with);
    }
  }
  // body(i, value)
  template <class Body>
  __device__ void each(const Body& body) const {
    if constexpr (is_held) {
#pragma unroll
      for (int k = 0; k < kElementsHeld; ++k) {
        const int64_t i = member.rank + k * M::size;
        if (i < count) body(i, held[k]);
      }
    } else {
      for (int64_t i = member.rank; i < count; i += M::size) body(i, load(i));
    }
  }
};

#endif

// body(constant): starts the kernel for the team that the shape wants.
template <class Body>
void with_team(Team team, const Body& body) {
  if (team == Team::kWarps) return body(std::integral_constant<Team, Team::kWarps>());
  if (team == Team::kBlocks) return body(std::integral_constant<Team, Team::kBlocks>());
  return body(std::integral_constant<Team, Team::kColumns>());
}

// For kernels that use Elements: short rows go to warps, and body(team, is_held) is told whether registers suffice.
template <class Body>
void with_elements(CudaReduction* r, const Body& body) {
  if (r->team == Team::kWarps && r->count > 32 * kElementsHeld) r->team = Team::kBlocks;
  with_team(r->team, [&](auto team) {
    const int size = r->team == Team::kWarps ? 32 : r->team == Team::kBlocks ? kBlock : kBlock / 32;
    if (r->count <= size * kElementsHeld) return body(team, std::true_type());
    body(team, std::false_type());
  });
}

inline unsigned grid_of(const CudaReduction& r) {
  const int64_t blocks = r.blocks();
  return static_cast<unsigned>(blocks < (1 << 20) ? blocks : 1 << 20);
}

DOVETAIL_CLOSE_NAMESPACE

#endif
