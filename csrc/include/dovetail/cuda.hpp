// SPDX-License-Identifier: Apache-2.0
// For authors of rows that run on NVIDIA GPUs: streams, checked calls and launches, and device functions for kernels.
//
//   __global__ void twice(const float* x, float* y, int64_t n) {
//     for (int64_t i = first_item(); i < n; i += item_stride()) y[i] = 2 * x[i];
//   }
//   void enqueue(const Params&, const Run& run) {
//     const Tensor x = run.input(0), y = run.output(0);
//     launch(run, "twice", twice, blocks_for(y.volume()), kBlock, 0, x.data<float>(), y.data<float>(), y.volume());
//   }
//   constexpr Row<Params> kRows[] = {
//       {.tactic = "linear", .needs = kBuiltSm, .types = "f32 -> f32", .enqueue = enqueue, .traits = kCaptureSafe},
//   };
//   DOVETAIL_IMPLEMENTS("Twice@1#cuda", Params, kRows)
//
// `enqueue` only enqueues work on run.stream(). It must not wait, allocate, or change the current device, which the
// host has selected. Tensors, workspace and packed constants are in device memory, except tensors whose format word
// ends in "@cpu". The user's buffers may start at any multiple of the element size: call is_aligned
// before wider accesses.
#ifndef DOVETAIL_CUDA_HPP
#define DOVETAIL_CUDA_HPP

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime.h>

#include <initializer_list>

#include "dovetail/detail/host_device.hpp"
#include "dovetail/plugin.hpp"

DOVETAIL_OPEN_NAMESPACE

// ---- calls and launches that are checked

// After such an error, every further call of the process on this device returns the same error.
inline bool is_sticky(cudaError_t error) {
  switch (error) {
    case cudaErrorECCUncorrectable:
    case cudaErrorNvlinkUncorrectable:
    case cudaErrorIllegalAddress:
    case cudaErrorLaunchTimeout:
    case cudaErrorAssert:
    case cudaErrorHardwareStackError:
    case cudaErrorIllegalInstruction:
    case cudaErrorMisalignedAddress:
    case cudaErrorInvalidAddressSpace:
    case cudaErrorInvalidPc:
    case cudaErrorLaunchFailure:
    case cudaErrorContextIsDestroyed:
      return true;
    default:
      return false;
  }
}

// What the user can do about it.
inline const char* advice_for(cudaError_t error) {
  if (is_sticky(error)) {
    return "a kernel before this call has broken the device's context and nothing on it works any more: restart the "
           "process, and run it under compute-sanitizer to see which kernel";
  }
  switch (error) {
    case cudaErrorMemoryAllocation:
      return "free memory of the device, or lower the workspace limit or the largest shapes of the profile";
    case cudaErrorInsufficientDriver:
      return "install an NVIDIA driver, or a newer one; nvidia-smi prints the CUDA version that it supports";
    case cudaErrorNoDevice:
      return "nvidia-smi lists the devices that are there, CUDA_VISIBLE_DEVICES may hide them";
    case cudaErrorInvalidDevice:
      return "nvidia-smi lists the devices that are there, counted from 0, CUDA_VISIBLE_DEVICES may hide them";
    case cudaErrorDevicesUnavailable:
      return "another process holds the device in exclusive mode: end it, or choose another device";
    case cudaErrorNoKernelImageForDevice:
    case cudaErrorUnsupportedPtxVersion:
    case cudaErrorJitCompilerNotFound:
      return "the library has no code for this device and driver: build it with the device in CMAKE_CUDA_ARCHITECTURES";
    case cudaErrorInvalidResourceHandle:
      return "the stream or event was dropped, or belongs to another device";
    case cudaErrorInvalidValue:
      return "an address or a size is not one that this device knows";
    case cudaErrorInvalidConfiguration:
    case cudaErrorLaunchOutOfResources:
      return "the grid, the block or its shared memory is larger than this device allows";
    case cudaErrorStreamCaptureUnsupported:
    case cudaErrorStreamCaptureInvalidated:
    case cudaErrorStreamCaptureImplicit:
    case cudaErrorStreamCaptureIsolation:
    case cudaErrorStreamCaptureUnmatched:
    case cudaErrorStreamCaptureMerge:
    case cudaErrorStreamCaptureUnjoined:
    case cudaErrorStreamCaptureWrongThread:
    case cudaErrorCapturedEvent:
      return "the stream is being captured into a graph, and this call may not be: make it before or after";
    default:
      return "nvidia-smi and dmesg may say more about the device";
  }
}

// Throws if a call of CUDA has failed: check_cuda(cudaMalloc(&p, n), "cudaMalloc of %llu bytes", n).
template <class... Args>
void check_cuda(cudaError_t error, Format call, Args... args) {
  if (error == cudaSuccess) return;
  cudaGetLastError();  // clears the error, so that no later check reports it
  char what[160];
  if constexpr (sizeof...(args) == 0) {
    std::snprintf(what, sizeof what, "%s", call.text);
  } else {
    std::snprintf(what, sizeof what, call.text, args...);
  }
  const dt_code code = error == cudaErrorMemoryAllocation ? DT_OUT_OF_MEMORY : DT_DEVICE_FAULT;
  const char* const advice = advice_for(error);
  fail(code, Format("%s: %s (%s); %s", call.file, call.line), what, cudaGetErrorName(error), cudaGetErrorString(error),
       advice);
}

inline cudaStream_t stream_of(const Run& run) { return static_cast<cudaStream_t>(run.stream()); }

// Throws if the kernel did not start; to be called after kernel<<<...>>>(...).
inline void check_launch(const char* kernel, const char* file = __builtin_FILE(), int line = __builtin_LINE()) {
  check_cuda(cudaGetLastError(), Format("launch of %s", file, line), kernel);
}

namespace detail {
template <class T>
struct Same {
  typedef T Type;
};
}  // namespace detail

// Starts kernel(args...) on the stream of the run; an empty grid starts nothing. `name` is for messages.
template <class... Params>
void launch(const Run& run, const char* name, void (*kernel)(Params...), dim3 grid, dim3 block, size_t shared_bytes,
            typename detail::Same<Params>::Type... args) {
  if (grid.x == 0 || grid.y == 0 || grid.z == 0) return;
  const void* const entry = reinterpret_cast<const void*>(kernel);
  if (shared_bytes > 48 * 1024) {  // the most that a kernel may use without this attribute
    check_cuda(cudaFuncSetAttribute(entry, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(shared_bytes)),
               "cudaFuncSetAttribute of %s for %llu bytes of shared memory", name,
               static_cast<unsigned long long>(shared_bytes));
  }
  void* pointers[sizeof...(Params) + 1] = {const_cast<void*>(static_cast<const void*>(&args))..., nullptr};
  check_cuda(cudaLaunchKernel(entry, grid, block, pointers, shared_bytes, stream_of(run)),
             "launch of %s, %u x %u x %u blocks of %u threads", name, grid.x, grid.y, grid.z,
             block.x * block.y * block.z);
}

#ifdef __CUDA_ARCH_LIST__
namespace detail {
constexpr int least_of(std::initializer_list<int> capabilities) {
  int least = 0;
  for (const int each : capabilities) least = least == 0 || each < least ? each : least;
  return least;
}
}  // namespace detail

// The least compute capability that rows of this file need: the lowest one that the file is compiled for.
constexpr uint64_t kBuiltSm = sm(detail::least_of({__CUDA_ARCH_LIST__}) / 10);
#elif defined(DOVETAIL_BUILT_SM)  // a .cpp file; the kernels that it starts are compiled for that
constexpr uint64_t kBuiltSm = sm(DOVETAIL_BUILT_SM);
#endif

// ---- grids

constexpr int kBlock = 256;

constexpr int64_t divide_up(int64_t n, int64_t by) { return (n + by - 1) / by; }

// Number of blocks of kBlock threads for n items. It is limited to what fills any device; then each thread loops over
// several items: first_item, item_stride.
inline unsigned blocks_for(int64_t n, int64_t items_a_thread = 1) {
  const int64_t blocks = divide_up(n, kBlock * items_a_thread);
  return static_cast<unsigned>(blocks < (1 << 20) ? blocks : 1 << 20);
}

#ifdef __CUDACC__

__device__ inline int64_t first_item() { return static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; }
__device__ inline int64_t item_stride() { return static_cast<int64_t>(gridDim.x) * blockDim.x; }

#endif

// ---- parts of kernels

// n neighbouring elements that are loaded or stored at once, 16 bytes at most.
template <class T, int n>
struct alignas(sizeof(T) * n) Pack {
  T v[n];
};

// Number of elements in an access to n neighbours, and its size in bytes; the address must be a multiple of that size.
template <class T, int n>
constexpr int kPiece = n * sizeof(T) <= 16 ? n : 16 / static_cast<int>(sizeof(T));
template <class T, int n>
constexpr int kPieceBytes = kPiece<T, n> * static_cast<int>(sizeof(T));

#ifdef __CUDACC__

template <int n, class T>
__device__ inline void load_pack(const T* from, T (&v)[n]) {
  constexpr int piece = kPiece<T, n>;
#pragma unroll
  for (int i = 0; i < n; i += piece) {
    const Pack<T, piece> part = *reinterpret_cast<const Pack<T, piece>*>(from + i);
#pragma unroll
    for (int k = 0; k < piece; ++k) v[i + k] = part.v[k];
  }
}

template <int n, class T>
__device__ inline void store_pack(T* to, const T (&v)[n]) {
  constexpr int piece = kPiece<T, n>;
#pragma unroll
  for (int i = 0; i < n; i += piece) {
    Pack<T, piece> part;
#pragma unroll
    for (int k = 0; k < piece; ++k) part.v[k] = v[i + k];
    *reinterpret_cast<Pack<T, piece>*>(to + i) = part;
  }
}

#endif

// Calls body(T()), where T is an unsigned integer type, or four of them, of `bytes` bytes.
template <class Body>
void with_wide_element(int64_t bytes, const Body& body) {
  if (bytes == 1) return body(uint8_t());
  if (bytes == 2) return body(uint16_t());
  if (bytes == 4) return body(uint32_t());
  if (bytes == 8) return body(uint64_t());
  body(uint4());
}

// True if all of these pointers may be accessed in pieces of `bytes`.
inline bool is_aligned(int bytes, const void* a, const void* b = nullptr, const void* c = nullptr) {
  const uintptr_t all =
      reinterpret_cast<uintptr_t>(a) | reinterpret_cast<uintptr_t>(b) | reinterpret_cast<uintptr_t>(c);
  return all % static_cast<uintptr_t>(bytes) == 0;
}

// Divides n < 2^31 by a divisor known on the host, by a multiplication: q = (n * multiplier >> 32) >> shift.
struct Divisor {
  uint32_t divisor = 1, multiplier = 0, shift = 0;

  Divisor() = default;
  // 1 <= d < 2^31. With s the bits of d - 1, 2^32 (2^s - d) / d + 1 is less than 2^32 and makes q exact for 31 bits of
  // n: Granlund and Montgomery, Division by Invariant Integers using Multiplication, figure 4.1.
  explicit Divisor(int64_t d) : divisor(static_cast<uint32_t>(d)) {
    while ((uint64_t{1} << shift) < divisor) ++shift;
    multiplier = static_cast<uint32_t>(((uint64_t{1} << 32) * ((uint64_t{1} << shift) - divisor)) / divisor + 1);
  }
  DOVETAIL_HOST_DEVICE uint32_t quotient(uint32_t n) const {
#ifdef __CUDA_ARCH__
    const uint32_t high = __umulhi(n, multiplier);
#else
    const uint32_t high = static_cast<uint32_t>((static_cast<uint64_t>(n) * multiplier) >> 32);
#endif
    return (high + n) >> shift;  // no carry: both are below 2^31
  }
  DOVETAIL_HOST_DEVICE uint32_t split(uint32_t n, uint32_t* rest) const {
    const uint32_t q = quotient(n);
    *rest = n - q * divisor;
    return q;
  }
};

// Divides 0 <= n <= largest by a divisor known on the host: as above, or in 64 bits if `largest` needs more than 31.
struct Divider {
  int64_t divisor = 1;
  uint64_t multiplier = 0;  // of 64 bits; its shift is that of `fast`
  Divisor fast;
  bool is_fast = true;

  Divider() = default;
  Divider(int64_t d, int64_t largest) : divisor(d), is_fast(d < (int64_t{1} << 31) && largest < (int64_t{1} << 31)) {
    if (is_fast) {
      fast = Divisor(d);
      return;
    }
    const uint64_t by = static_cast<uint64_t>(d);
    while ((uint64_t{1} << fast.shift) < by) ++fast.shift;
    uint64_t rest = (uint64_t{1} << fast.shift) - by;
    for (int bit = 0; bit < 64; ++bit) {  // multiplier = 2^64 rest / by
      rest *= 2;
      multiplier = multiplier * 2 + (rest >= by ? 1 : 0);
      if (rest >= by) rest -= by;
    }
    ++multiplier;
  }
  DOVETAIL_HOST_DEVICE int64_t quotient(int64_t n) const {
    if (is_fast) return static_cast<int64_t>(fast.quotient(static_cast<uint32_t>(n)));
#ifdef __CUDA_ARCH__
    const uint64_t all = static_cast<uint64_t>(n);
    return static_cast<int64_t>((__umul64hi(all, multiplier) + all) >> fast.shift);
#else
    return n / divisor;
#endif
  }
  DOVETAIL_HOST_DEVICE int64_t split(int64_t n, int64_t* rest) const {
    const int64_t q = quotient(n);
    *rest = n - q * divisor;
    return q;
  }
};

// Conversions between float32 and the three float types. Rounding is to nearest, ties to even.
DOVETAIL_HOST_DEVICE inline float to_float(float v) { return v; }
DOVETAIL_HOST_DEVICE inline float to_float(__half v) { return __half2float(v); }
DOVETAIL_HOST_DEVICE inline float to_float(__nv_bfloat16 v) { return __bfloat162float(v); }

template <class T>
DOVETAIL_HOST_DEVICE inline T float_to(float v) = delete;  // integers have rules of their own
template <>
DOVETAIL_HOST_DEVICE inline float float_to<float>(float v) {
  return v;
}
template <>
DOVETAIL_HOST_DEVICE inline __half float_to<__half>(float v) {
  return __float2half_rn(v);
}
template <>
DOVETAIL_HOST_DEVICE inline __nv_bfloat16 float_to<__nv_bfloat16>(float v) {
  return __float2bfloat16_rn(v);
}

#ifdef __CUDACC__

// Element i of a tensor of any float type. The type is tested at run time, which suits kernels that compute
// much per element.
__device__ __forceinline__ float load_float(const void* p, int32_t type, int64_t i) {
  if (type == DT_TYPE_FLOAT) return static_cast<const float*>(p)[i];
  if (type == DT_TYPE_HALF) return __half2float(static_cast<const __half*>(p)[i]);
  return __bfloat162float(static_cast<const __nv_bfloat16*>(p)[i]);
}

__device__ __forceinline__ void store_float(float v, void* p, int32_t type, int64_t i) {
  if (type == DT_TYPE_FLOAT) {
    static_cast<float*>(p)[i] = v;
  } else if (type == DT_TYPE_HALF) {
    static_cast<__half*>(p)[i] = float_to<__half>(v);
  } else {
    static_cast<__nv_bfloat16*>(p)[i] = float_to<__nv_bfloat16>(v);
  }
}

#endif

// Calls body(T()) with the C++ type of a float tensor: with_float_type(type, [&](auto t) { run<decltype(t)>(); }).
template <class Body>
void with_float_type(DataType type, const Body& body) {
  if (type == DataType::kFLOAT) return body(float());
  if (type == DataType::kHALF) return body(__half());
  if (type == DataType::kBF16) return body(__nv_bfloat16());
  fail(DT_UNSUPPORTED, "type %d is not a float type", static_cast<int>(type));
}

// The same with an unsigned integer as wide as an element: for kernels that only copy elements.
template <class Body>
void with_width_of(DataType type, const Body& body) {
  const int64_t bytes = size_of(type);
  if (bytes == 1) return body(uint8_t());
  if (bytes == 2) return body(uint16_t());
  if (bytes == 4) return body(uint32_t());
  return body(uint64_t());
}

DOVETAIL_CLOSE_NAMESPACE

#endif
