// SPDX-License-Identifier: Apache-2.0
// acme::Contrast@1: y = (x - min) / (max - min), min and max taken over each plane [H, W] of x; a plane of one value
// becomes 0. Float32 or half precision, computed in float32.
//
// An op and its kernels in one class with TensorRT's names, for NVIDIA GPUs. Two launches: each block notes the
// extremes of its part of a plane in the workspace, then each block joins what belongs to its plane and
// writes its part.
#include "dovetail/cuda.hpp"

namespace acme {

using namespace dovetail;

constexpr int kThreads = 256;
constexpr int64_t kPart = 16384;      // values of a plane that one block looks at
constexpr int kMostParts = kThreads;  // of a plane, so that a block joins them with one value a thread

struct Extremes {
  float low, high;
};

__device__ Extremes joined(Extremes a, Extremes b) { return {fminf(a.low, b.low), fmaxf(a.high, b.high)}; }

// Of the whole block, in all its threads.
__device__ Extremes join_block(Extremes mine) {
  __shared__ Extremes of_warp[kThreads / 32];
  for (int step = 16; step > 0; step /= 2) {
    mine = joined(mine, {__shfl_xor_sync(~0u, mine.low, step), __shfl_xor_sync(~0u, mine.high, step)});
  }
  if (threadIdx.x % 32 == 0) of_warp[threadIdx.x / 32] = mine;
  __syncthreads();
  for (const Extremes& other : of_warp) mine = joined(mine, other);
  return mine;
}

// Block b looks at part b % parts of plane b / parts.
struct Split {
  int64_t plane, part_size;  // values
  int parts;                 // of a plane
};

template <class T>
__global__ void __launch_bounds__(kThreads) find(const T* x, Extremes* found, Split split) {
  const int64_t part = blockIdx.x % split.parts, first = part * split.part_size;
  const int64_t last = min(first + split.part_size, split.plane);
  const T* plane = x + blockIdx.x / split.parts * split.plane;
  Extremes mine = {INFINITY, -INFINITY};
  for (int64_t i = first + threadIdx.x; i < last; i += kThreads) {
    const float value = static_cast<float>(plane[i]);
    mine = joined(mine, {value, value});
  }
  mine = join_block(mine);
  if (threadIdx.x == 0) found[blockIdx.x] = mine;
}

template <class T>
__global__ void __launch_bounds__(kThreads) stretch(const T* x, T* y, const Extremes* found, Split split) {
  const int64_t index = blockIdx.x / split.parts, part = blockIdx.x % split.parts, first = part * split.part_size;
  const int64_t last = min(first + split.part_size, split.plane);
  const bool has_one = threadIdx.x < split.parts;
  const Extremes all = join_block(has_one ? found[index * split.parts + threadIdx.x] : Extremes{INFINITY, -INFINITY});
  const float factor = all.high > all.low ? 1 / (all.high - all.low) : 0.0f;
  for (int64_t i = index * split.plane + first + threadIdx.x; i < index * split.plane + last; i += kThreads) {
    y[i] = static_cast<T>((static_cast<float>(x[i]) - all.low) * factor);
  }
}

class Contrast final : public IPluginV2DynamicExt {
 public:
  const char* getPluginType() const override { return "Contrast"; }
  const char* getPluginVersion() const override { return "1"; }
  int32_t getNbOutputs() const override { return 1; }
  DataType getOutputDataType(int32_t, const DataType* types, int32_t) const override { return types[0]; }

  DimsExprs getOutputDimensions(int32_t, const DimsExprs* inputs, int32_t n_inputs, IExprBuilder&) override {
    if (n_inputs != 1) fail(DT_SHAPE, "takes one input, not %d", n_inputs);
    if (inputs[0].nbDims < 2) fail(DT_SHAPE, "takes rank 2 or more, not %d", inputs[0].nbDims);
    return inputs[0];
  }

  bool supportsFormatCombination(int32_t pos, const PluginTensorDesc* in_out, int32_t, int32_t) override {
    if (in_out[pos].format != TensorFormat::kLINEAR) return false;
    if (pos == 1) return in_out[1].type == in_out[0].type;
    return in_out[0].type == DataType::kFLOAT || in_out[0].type == DataType::kHALF;
  }

  // Extents of the next runs, so that enqueue only launches.
  void configurePlugin(const DynamicPluginTensorDesc* in, int32_t, const DynamicPluginTensorDesc*, int32_t) override {
    n_planes_ = planes_of(in[0].desc.dims);
    split_ = split_of(in[0].desc.dims);
  }

  // Asked once, at the upper end of the profile: smaller extents need no more.
  size_t getWorkspaceSize(const PluginTensorDesc* in, int32_t, const PluginTensorDesc*, int32_t) const override {
    return static_cast<size_t>(planes_of(in[0].dims) * split_of(in[0].dims).parts) * sizeof(Extremes);
  }

  int32_t enqueue(const PluginTensorDesc* in, const PluginTensorDesc*, const void* const* inputs, void* const* outputs,
                  void* workspace, Stream stream) override {
    if (n_planes_ == 0 || split_.plane == 0) return 0;
    if (in[0].type == DataType::kHALF) {
      run_as<__half>(inputs[0], outputs[0], workspace, static_cast<cudaStream_t>(stream));
    } else {
      run_as<float>(inputs[0], outputs[0], workspace, static_cast<cudaStream_t>(stream));
    }
    return 0;
  }

  IPluginV2DynamicExt* clone() const override { return new Contrast(*this); }
  size_t getSerializationSize() const override { return 0; }
  void serialize(void*) const override {}

 private:
  static int64_t planes_of(const Dims& dims) {
    int64_t planes = 1;
    for (int32_t i = 0; i < dims.nbDims - 2; ++i) planes *= dims.d[i];
    return planes;
  }
  static Split split_of(const Dims& dims) {
    const int64_t plane = dims.d[dims.nbDims - 2] * dims.d[dims.nbDims - 1];
    int64_t parts = (plane + kPart - 1) / kPart;
    parts = parts < 1 ? 1 : parts > kMostParts ? kMostParts : parts;
    return {plane, (plane + parts - 1) / parts, static_cast<int>(parts)};
  }

  template <class T>
  void run_as(const void* input, void* output, void* workspace, cudaStream_t stream) const {
    const T* x = static_cast<const T*>(input);
    Extremes* found = static_cast<Extremes*>(workspace);
    const unsigned blocks = static_cast<unsigned>(n_planes_ * split_.parts);
    find<<<blocks, kThreads, 0, stream>>>(x, found, split_);
    check_launch("acme::find");
    stretch<<<blocks, kThreads, 0, stream>>>(x, static_cast<T*>(output), found, split_);
    check_launch("acme::stretch");
  }

  int64_t n_planes_ = 0;
  Split split_ = {};
};

class ContrastCreator final : public IPluginCreator {
 public:
  const char* getPluginName() const override { return "Contrast"; }
  const char* getPluginVersion() const override { return "1"; }
  const char* getDescription() const override { return "The values of each plane, stretched to 0..1."; }
  bool isCaptureSafe() const override { return true; }  // enqueue launches on its stream and does nothing else
  const PluginFieldCollection* getFieldNames() override {
    static const PluginFieldCollection none;
    return &none;
  }
  IPluginV2* createPlugin(const char*, const PluginFieldCollection*) override { return new Contrast; }
  IPluginV2* deserializePlugin(const char*, const void*, size_t) override { return new Contrast; }
};

}  // namespace acme

REGISTER_DOVETAIL_PLUGIN_ON(DT_DEVICE_CUDA, acme::ContrastCreator)
DOVETAIL_LIBRARY("acme-contrast", "1.0", "acme")
