// SPDX-License-Identifier: Apache-2.0
// What is used of oneDNN, version 3: its C interface, declared here, so that building needs none of its headers. The
// library is opened when a row is first asked whether it fits. Its types are passed by address, its enumerations as int.
#ifndef DOVETAIL_ONEDNN_API_HPP
#define DOVETAIL_ONEDNN_API_HPP

#include <memory>

#include "dovetail/plugin.hpp"

namespace onednn {

struct Engine;
struct Stream;
struct Memory;
struct MemoryDesc;
struct Primitive;
struct PrimitiveDesc;
struct PostOps;
struct Attributes;

struct Version {
  int major, minor, patch;
  const char* hash;
  unsigned cpu_runtime, gpu_runtime;
};
struct Argument {
  int arg;
  Memory* memory;
};
using Dims = const int64_t*;

enum Kind : int { kCpuEngine = 1, kForwardInference = 96, kUserScratch = 1 };
enum Runtime : unsigned { kSequential = 1, kOpenMp = 2 };
enum Type : int { kBf16 = 2, kF32 = 3 };
enum Algorithm : int {
  kConvolution = 1,
  kDeconvolution = 10,
  kRelu = 32,
  kTanh = 33,
  kLinear = 38,  // alpha * x + beta
  kLogistic = 41,
  kSwish = 44,  // x * logistic(alpha * x)
  kClip = 46,   // min(max(x, alpha), beta)
  kGelu = 49,   // with erf
  kAdd = 131056,
  kMul = 131057,
  kMax = 131058,
  kMin = 131059,
  kDiv = 131060,
  kSub = 131061,
};
// Formats by the names of the library, with what the letters stand for: maps o, channels i, groups g, taps hw.
enum Tag : int {
  kA = 2,
  kAbcd = 5,
  kAbcd16b = 78,       // nChw16c, which is CHW16
  kOihw16i16o = 79,    // kernels of blocks
  kGoihw16g = 114,     // of channels on their own
  kGoihw16i16o = 124,  // of groups
  kOhwi16o = 211,      // of few channels
  kIohw16i16o = 225,   // of deconvolutions
  kPanels = 503,       // matrices in panels of 16 columns; those of 32, 48 and 64 follow
  kPairPanels = 381    // the same in pairs, for bfloat16
};
enum Query : int { kName = 8, kScratch = 136 };
enum Name : int { kSource = 1, kDestination = 17, kWeights = 33, kBias = 41, kScratchpad = 80 };
inline int operand_of(int post_op) { return 32768 * (post_op + 1) | 2; }

// X(name without dnnl_, result, parameters)
#define ONEDNN_FUNCTIONS(X)                                                                                           \
  X(version, const Version*, ())                                                                                      \
  X(engine_create, int, (Engine**, int kind, size_t index))                                                           \
  X(stream_create, int, (Stream**, Engine*, unsigned flags))                                                          \
  X(stream_destroy, int, (Stream*))                                                                                   \
  X(memory_desc_create_with_tag, int, (MemoryDesc**, int rank, Dims, int type, int tag))                              \
  X(memory_desc_create_with_strides, int, (MemoryDesc**, int rank, Dims, int type, Dims strides))                     \
  X(memory_desc_get_size, size_t, (const MemoryDesc*))                                                                \
  X(memory_desc_destroy, int, (MemoryDesc*))                                                                          \
  X(memory_create, int, (Memory**, const MemoryDesc*, Engine*, void* data))                                           \
  X(memory_set_data_handle, int, (Memory*, void* data))                                                               \
  X(memory_destroy, int, (Memory*))                                                                                   \
  X(post_ops_create, int, (PostOps**))                                                                                \
  X(post_ops_append_eltwise, int, (PostOps*, int algorithm, float alpha, float beta))                                 \
  X(post_ops_append_binary, int, (PostOps*, int algorithm, const MemoryDesc*))                                        \
  X(post_ops_destroy, int, (PostOps*))                                                                                \
  X(primitive_attr_create, int, (Attributes**))                                                                       \
  X(primitive_attr_set_post_ops, int, (Attributes*, const PostOps*))                                                  \
  X(primitive_attr_set_scratchpad_mode, int, (Attributes*, int mode))                                                 \
  X(primitive_attr_destroy, int, (Attributes*))                                                                       \
  X(convolution_forward_primitive_desc_create, int,                                                                   \
    (PrimitiveDesc**, Engine*, int kind, int algorithm, const MemoryDesc* x, const MemoryDesc* kernel,                \
     const MemoryDesc* bias, const MemoryDesc* y, Dims strides, Dims dilations, Dims before, Dims behind,             \
     const Attributes*))                                                                                              \
  X(deconvolution_forward_primitive_desc_create, int,                                                                 \
    (PrimitiveDesc**, Engine*, int kind, int algorithm, const MemoryDesc* x, const MemoryDesc* kernel,                \
     const MemoryDesc* bias, const MemoryDesc* y, Dims strides, Dims dilations, Dims before, Dims behind,             \
     const Attributes*))                                                                                              \
  X(matmul_primitive_desc_create, int,                                                                                \
    (PrimitiveDesc**, Engine*, const MemoryDesc* a, const MemoryDesc* b, const MemoryDesc* bias, const MemoryDesc* y, \
     const Attributes*))                                                                                              \
  X(reorder_primitive_desc_create, int,                                                                               \
    (PrimitiveDesc**, const MemoryDesc* from, Engine*, const MemoryDesc* to, Engine*, const Attributes*))             \
  X(primitive_desc_query, int, (const PrimitiveDesc*, int what, int index, void* result))                             \
  X(primitive_desc_query_md, const MemoryDesc*, (const PrimitiveDesc*, int what, int index))                          \
  X(primitive_desc_destroy, int, (PrimitiveDesc*))                                                                    \
  X(primitive_create, int, (Primitive**, const PrimitiveDesc*))                                                       \
  X(primitive_execute, int, (const Primitive*, Stream*, int n, const Argument*))                                      \
  X(primitive_destroy, int, (Primitive*))

struct Api {
#define ONEDNN_MEMBER(name, result, parameters) result(*name) parameters = nullptr;
  ONEDNN_FUNCTIONS(ONEDNN_MEMBER)
#undef ONEDNN_MEMBER
  // Of the OpenMP that the library is linked with; null if it has no threads.
  int (*omp_get_max_threads)() = nullptr;
  void (*omp_set_num_threads)(int) = nullptr;
  Engine* engine = nullptr;
};

// Null if the library cannot be used; `why_closed` says why, and the log has said it once.
const Api* opened();
const char* why_closed();
// The same, where a row has answered that it fits.
const Api& api();

// Throws if a function of the library did not succeed.
void expect_done(int status, const char* function);

template <class T>
using Owned = std::unique_ptr<T, int (*)(T*)>;

// The calling thread is the only one that the library uses while this lives: the host divides the work.
class OneThread {
 public:
  OneThread() : set_(api().omp_set_num_threads), before_(set_ ? api().omp_get_max_threads() : 1) {
    if (before_ != 1) set_(1);
  }
  ~OneThread() {
    if (before_ != 1) set_(before_);
  }
  OneThread(const OneThread&) = delete;
  OneThread& operator=(const OneThread&) = delete;

 private:
  void (*set_)(int);
  int before_;
};

}  // namespace onednn

#endif
