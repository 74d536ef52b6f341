// SPDX-License-Identifier: Apache-2.0
// TopK@1#cuda: a block a row. The k-th key is found digit by digit, from the top, by counting; the elements before it
// are gathered in shared memory and sorted there.
#include "dovetail/cuda.hpp"
#include "rows.hpp"

using namespace dovetail;

namespace {

constexpr int64_t kMostSorted = 4096;  // entries in shared memory, up to 48 KiB of them
constexpr int kDigits = 256;

template <class T>
__device__ inline uint32_t key_of(T v, bool is_least) {
  return DT_ISA::float_key(__float_as_uint(to_float(v)), is_least);
}
__device__ inline uint32_t key_of(int32_t v, bool is_least) { return DT_ISA::int_key(v, is_least); }
__device__ inline uint64_t key_of(int64_t v, bool is_least) { return DT_ISA::int_key(v, is_least); }

// What the threads of a block share.
template <class Key>
struct alignas(16) Shared {
  uint32_t counts[kDigits];
  Key prefix;           // the digits of the k-th key that are known
  uint32_t needed;      // how many of the elements with these digits are selected
  uint32_t with_digit;  // how many elements have these digits
  uint32_t n_taken, n_equal;
  uint32_t warps[kBlock / 32];
};

// `sorted`: k rounded up to a power of 2.
template <class T, class Key>
__global__ void __launch_bounds__(kBlock) topk(TopkArgs args, Divider by_inner, int64_t rows, uint32_t sorted) {
  extern __shared__ __align__(16) unsigned char memory[];
  Shared<Key>& shared = *reinterpret_cast<Shared<Key>*>(memory);
  Key* const keys = reinterpret_cast<Key*>(memory + sizeof(Shared<Key>));
  uint32_t* const places = reinterpret_cast<uint32_t*>(keys + sorted);
  const int thread = static_cast<int>(threadIdx.x);
  const uint32_t count = static_cast<uint32_t>(args.count), k = static_cast<uint32_t>(args.k);
  for (int64_t row = blockIdx.x; row < rows; row += gridDim.x) {
    int64_t column;
    const int64_t outer = by_inner.split(row, &column);
    const T* const x = static_cast<const T*>(args.x) + outer * args.count * args.inner + column;
    Key mask = 0;
    if (thread == 0) {
      shared.prefix = 0;
      shared.needed = k;
    }
    for (int shift = static_cast<int>(sizeof(Key)) * 8 - 8; shift >= 0; shift -= 8) {
      shared.counts[thread] = 0;
      __syncthreads();
      const Key prefix = shared.prefix;
      for (uint32_t i = static_cast<uint32_t>(thread); i < count; i += kBlock) {
        const Key key = key_of(x[i * args.inner], args.is_least);
        if ((key & mask) == prefix) atomicAdd(&shared.counts[static_cast<uint32_t>(key >> shift) & 255u], 1u);
      }
      __syncthreads();
      if (thread == 0) {
        uint32_t needed = shared.needed;
        int digit = kDigits - 1;
        for (; digit > 0 && shared.counts[digit] < needed; --digit) needed -= shared.counts[digit];
        shared.prefix = prefix | static_cast<Key>(digit) << shift;
        shared.needed = needed;
        shared.with_digit = shared.counts[digit];
        shared.n_taken = shared.n_equal = 0;
      }
      mask |= static_cast<Key>(255) << shift;
      __syncthreads();
    }
    const Key last_key = shared.prefix;
    const uint32_t needed = shared.needed;
    // Of those equal to the k-th, the first by index come; where all come, sorting orders them.
    const bool takes_all = shared.with_digit == needed;
    for (uint32_t first = 0; first < count; first += kBlock) {
      const uint32_t i = first + static_cast<uint32_t>(thread);
      const Key key = i < count ? key_of(x[i * args.inner], args.is_least) : Key(0);
      const bool is_equal = i < count && key == last_key;
      if (i < count && (key > last_key || (is_equal && takes_all))) {
        const uint32_t to = atomicAdd(&shared.n_taken, 1u);
        keys[to] = key;
        places[to] = i;
      }
      if (takes_all) continue;
      const uint32_t equal = __ballot_sync(0xffffffffu, is_equal);
      if (thread % 32 == 0) shared.warps[thread / 32] = static_cast<uint32_t>(__popc(equal));
      __syncthreads();
      uint32_t before = shared.n_equal, total = before;
      for (int w = 0; w < kBlock / 32; ++w) {
        if (w < thread / 32) before += shared.warps[w];
        total += shared.warps[w];
      }
      before += static_cast<uint32_t>(__popc(equal & ((1u << (thread % 32)) - 1u)));
      if (is_equal && before < needed) {
        keys[k - needed + before] = key;
        places[k - needed + before] = i;
      }
      __syncthreads();  // all threads have read what the next lines overwrite
      if (thread == 0) shared.n_equal = total;
      __syncthreads();
    }
    for (uint32_t i = k + static_cast<uint32_t>(thread); i < sorted; i += kBlock) {
      keys[i] = 0;
      places[i] = 0xffffffffu;
    }
    __syncthreads();
    // Bitonic sort: Batcher, Sorting networks and their applications, 1968.
    for (uint32_t size = 2; size <= sorted; size *= 2) {
      for (uint32_t stride = size / 2; stride > 0; stride /= 2) {
        for (uint32_t pair = static_cast<uint32_t>(thread); pair < sorted / 2; pair += kBlock) {
          const uint32_t a = 2 * stride * (pair / stride) + pair % stride, b = a + stride;
          const bool b_is_first = keys[b] > keys[a] || (keys[b] == keys[a] && places[b] < places[a]);
          if (b_is_first == ((a & size) == 0)) {
            const Key key = keys[a];
            const uint32_t place = places[a];
            keys[a] = keys[b];
            places[a] = places[b];
            keys[b] = key;
            places[b] = place;
          }
        }
        __syncthreads();
      }
    }
    for (uint32_t j = static_cast<uint32_t>(thread); j < k; j += kBlock) {
      const int64_t to = (outer * args.k + j) * args.inner + column;
      static_cast<T*>(args.values)[to] = x[places[j] * args.inner];
      args.indices[to] = static_cast<int32_t>(places[j]);
    }
    __syncthreads();  // before the next row uses the memory
  }
}

template <class T, class Key>
void start(const Run& run, const TopkArgs& args) {
  const int64_t rows = args.outer * args.inner;
  uint32_t sorted = 1;
  while (sorted < args.k) sorted *= 2;
  launch(run, "topk", topk<T, Key>, static_cast<unsigned>(rows < (1 << 20) ? rows : 1 << 20), kBlock,
         sizeof(Shared<Key>) + sorted * (sizeof(Key) + sizeof(uint32_t)), args, Divider(args.inner, rows), rows,
         sorted);
}

const char* fits(const TopkParams& params, const Descs& inputs, const Descs& outputs) {
  if (outputs[0].max_extent(params.axis()) > kMostSorted) return "more than 4096 elements are sorted in shared memory";
  return fits_topk(params, inputs, outputs);
}

void enqueue(const TopkParams& params, const Run& run) {
  const TopkArgs args = topk_args(params, run);
  if (args.outer * args.inner * args.k == 0) return;
  if (args.k > kMostSorted) fail(DT_UNSUPPORTED, "more than 4096 elements are sorted in shared memory");
  if (args.type == DT_TYPE_INT64) return start<int64_t, uint64_t>(run, args);
  if (args.type == DT_TYPE_INT32) return start<int32_t, uint32_t>(run, args);
  with_float_type(static_cast<DataType>(args.type), [&](auto t) { start<decltype(t), uint32_t>(run, args); });
}

#define NUMBERS "f32|f16|bf16|i32|i64"
#define TOPK_ROW(k)                              \
  {.tactic = "radix",                            \
   .needs = kBuiltSm,                            \
   .types = NUMBERS " " k " -> " NUMBERS " i32", \
   .formats = "linear",                          \
   .fits = fits,                                 \
   .enqueue = enqueue,                           \
   .traits = kCaptureSafe}

constexpr Row<TopkParams> kRows[] = {TOPK_ROW("i32"), TOPK_ROW("i64")};

}  // namespace

DOVETAIL_IMPLEMENTS("TopK@1#cuda", TopkParams, kRows)
