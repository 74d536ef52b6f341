// SPDX-License-Identifier: Apache-2.0
// Convolution@1#onednn.cpu and Deconvolution@1#onednn.cpu: float32 in blocks of 16 channels.
#include <algorithm>
#include <map>
#include <utility>

#include "plugins/convolution/convolution.hpp"
#include "plugins/deconvolution/deconvolution.hpp"
#include "work.hpp"

using namespace dovetail;

namespace onednn {
namespace {

enum { kX, kKernel, kBiasInput };
constexpr int64_t kLanes = 16;
constexpr int kChannelAxis = 1;

int64_t blocks(int64_t channels) { return (channels + kLanes - 1) / kLanes; }

// A layer with two spatial dims, and how its maps are cut: `unit` maps have weights that lie together.
class Layer {
 public:
  Layer(const ConvolveFields& fields, const Desc& x, const Desc& kernel, const Desc& y, bool has_bias)
      : f_(fields), is_blocked_(x.format() == TensorFormat::kCHW16), has_bias_(has_bias) {
    for (int i = 0; i < 4; ++i) {
      x_[i] = x.opt()[i];
      y_[i] = y.opt()[i];
    }
    for (int i = 0; i < 2; ++i) taps_[i] = kernel.opt()[2 + i];
    is_depthwise_ = f_.groups > 1 && f_.groups == x_[1] && f_.groups == f_.maps;
    if (f_.groups > 1 && !is_depthwise_) {
      unit_ = f_.maps / f_.groups;
    } else {
      unit_ = f_.is_transposed ? std::min<int64_t>(f_.maps, 4 * kLanes) : kLanes;
    }
  }

  // Why the library does not compute it; null if it may.
  static const char* refusal(const ConvolveFields& f, const Descs& inputs, const Descs& outputs) {
    const Desc x = inputs[kX], kernel = inputs[kKernel];
    if (f.n_spatial != 2 || x.rank() != 4) return "not two spatial dims and one of images";
    if (!kernel.is_constant()) return "a kernel that is computed";
    if (x.is_dynamic() && x.extent(1) < 0) return "an unknown number of channels";
    const int64_t channels = x.extent(1);
    for (int axis = 0; axis < 4; ++axis)
      if (x.opt()[axis] == 0 || outputs[0].opt()[axis] == 0) return "no elements";
    if (f.is_transposed && f.groups != 1) return "groups of a deconvolution";
    const bool is_blocked = x.format() == TensorFormat::kCHW16;
    if (!is_blocked) return f.groups == 1 && !f.is_transposed ? nullptr : "only whole convolutions read linear tensors";
    if (f.groups > 1 && f.groups == channels && f.groups == f.maps) return nullptr;
    if (channels / f.groups % kLanes != 0) return "reads whole blocks of 16 channels";
    if (f.groups > 1 && f.maps / f.groups % kLanes != 0) return "groups are not whole blocks of 16 maps";
    return nullptr;
  }

  // The primitive of some images and maps; null if the library has none.
  DescriptorPointer primitive(int64_t images, int64_t maps, const std::vector<PostOp>& post_ops,
                              const std::vector<DescPointer>& operands) const {
    const OneThread one;
    const DescPointer x = x_desc(images, maps), kernel = kernel_desc(maps), y = y_desc(images, maps);
    const DescPointer bias = has_bias_ ? tagged(1, &maps, kF32, kA) : DescPointer(nullptr, api().memory_desc_destroy);
    const Owned<Attributes> with = attributes(post_ops, operands);
    int64_t stride[2], dilation[2], before[2], behind[2];
    for (int i = 0; i < 2; ++i) {
      const int axis = i + 1;  // of the fields
      stride[i] = f_.stride[axis];
      dilation[i] = f_.dilation[axis] - 1;
      before[i] = padding_before(f_, axis, x_[2 + i]);
      const int64_t in = f_.is_transposed ? y_[2 + i] : x_[2 + i], out = f_.is_transposed ? x_[2 + i] : y_[2 + i];
      behind[i] = (out - 1) * f_.stride[axis] + f_.window(axis) - in - before[i];
    }
    const auto create = f_.is_transposed ? api().deconvolution_forward_primitive_desc_create
                                         : api().convolution_forward_primitive_desc_create;
    PrimitiveDesc* made = nullptr;
    const int status = create(&made, api().engine, kForwardInference, f_.is_transposed ? kDeconvolution : kConvolution,
                              x.get(), kernel.get(), bias.get(), y.get(), stride, dilation, before, behind, with.get());
    return {status == 0 ? made : nullptr, api().primitive_desc_destroy};
  }

  int64_t packed_bytes(int64_t maps) const {
    return static_cast<int64_t>(api().memory_desc_get_size(kernel_desc(maps).get()));
  }
  // Units lie one behind the other.
  int64_t all_packed_bytes() const {
    return f_.maps / unit_ * packed_bytes(unit_) + (f_.maps % unit_ ? packed_bytes(f_.maps % unit_) : 0);
  }
  int64_t packed_at(int64_t map) const { return map / unit_ * packed_bytes(unit_); }

  void pack(const float* kernel, char* to) const {
    const int64_t taps = taps_[0] * taps_[1], in_group = x_[1] / f_.groups;
    for (int64_t first = 0; first < f_.maps; first += unit_) {
      const int64_t maps = std::min(unit_, f_.maps - first), groups = groups_of(maps);
      const int64_t of_group[] = {maps / groups * in_group * taps, in_group * taps, taps, taps_[1], 1};
      const int64_t of_whole[] = {in_group * taps, taps, taps_[1], 1};
      const int64_t transposed[] = {taps, f_.maps * taps, taps_[1], 1};
      const int64_t* const strides = f_.groups > 1 ? of_group : f_.is_transposed ? transposed : of_whole;
      int64_t dims[5];
      const int rank = kernel_dims(maps, dims);
      const DescPointer from = strided(rank, dims, kF32, strides), packed = kernel_desc(maps);
      reorder(from.get(), kernel + first * (f_.is_transposed ? taps : in_group * taps), packed.get(),
              to + packed_at(first));
    }
  }

  Work plan(const RunSetup& setup, const Desc& y) const {
    Work work;
    int n_steps = 0;
    const std::vector<PostOp> ops = post_ops(setup.epilogue(), y, kChannelAxis, &n_steps);
    if (n_steps != setup.epilogue().n_steps())
      fail(DT_UNSUPPORTED, "the epilogue has more steps than its kernel said that it computes");
    std::map<std::pair<int64_t, int64_t>, std::shared_ptr<Primitive>> made;
    std::map<std::pair<int64_t, int64_t>, DescriptorPointer> descriptors;
    const int64_t n_threads = std::max(setup.n_threads(), 1), n_units = (f_.maps + unit_ - 1) / unit_;
    const bool by_images = x_[0] >= n_threads && !f_.is_transposed;
    const int64_t of_maps = f_.is_transposed ? n_units : by_images ? 1 : (n_threads + x_[0] - 1) / x_[0];
    for (const Share& images : shares(x_[0], by_images ? n_threads : x_[0]))
      for (const Share& units : shares(n_units, of_maps)) {
        const int64_t map = units.first * unit_, maps = std::min(units.n * unit_, f_.maps - map);
        const std::vector<DescPointer> operands = operand_descs(ops, images.n, maps);
        const auto key = std::make_pair(images.n, maps);
        if (!made.count(key)) {
          DescriptorPointer descriptor = primitive(images.n, maps, ops, operands);
          if (!descriptor) fail(DT_UNSUPPORTED, "oneDNN has no kernel for these extents");
          made[key] = primitive_of(descriptor.get());
          descriptors.emplace(key, std::move(descriptor));
        }
        Task task(made[key]);
        const int64_t x_channel = f_.groups > 1 ? map / (f_.maps / f_.groups) * (x_[1] / f_.groups) : 0;
        const int64_t y_at = images.first * image_of(y_, true) + map / kLanes * kLanes * y_[2] * y_[3];
        task.add(kSource, x_desc(images.n, maps).get(),
                 {Place::kInput, kX, 4 * (images.first * image_of(x_, is_blocked_) + x_channel * x_[2] * x_[3])});
        task.add(kWeights, kernel_desc(maps).get(), {Place::kPacked, 0, packed_at(map)});
        task.add(kDestination, y_desc(images.n, maps).get(), {Place::kOutput, 0, 4 * y_at});
        if (has_bias_) task.add(kBias, tagged(1, &maps, kF32, kA).get(), {Place::kInput, kBiasInput, 4 * map});
        for (size_t i = 0; i < ops.size(); ++i) {
          if (ops[i].tensor < 0) continue;
          const int64_t at = ops[i].form == kEpilogueWhole ? y_at : ops[i].form == kEpilogueByChannel ? map : 0;
          task.add(operand_of(static_cast<int>(i)), operands[i].get(), {Place::kOperand, ops[i].tensor, 4 * at});
        }
        task.add_scratch(api().primitive_desc_query_md(descriptors.at(key).get(), kScratch, 0));
        work.tasks.push_back(std::move(task));
      }
    return work;
  }

  int64_t images() const { return x_[0]; }
  int64_t at_once() const { return f_.is_transposed ? unit_ : f_.maps; }  // maps of a primitive, at most

 private:
  int64_t groups_of(int64_t maps) const { return f_.groups == 1 ? 1 : maps / (f_.maps / f_.groups); }

  static int64_t image_of(const int64_t* dims, bool is_blocked) {
    return (is_blocked ? blocks(dims[1]) * kLanes : dims[1]) * dims[2] * dims[3];
  }
  DescPointer x_desc(int64_t images, int64_t maps) const {
    const int64_t dims[] = {images, x_[1] / f_.groups * groups_of(maps), x_[2], x_[3]};
    return tagged(4, dims, kF32, is_blocked_ ? kAbcd16b : kAbcd);
  }
  DescPointer y_desc(int64_t images, int64_t maps) const {
    const int64_t dims[] = {images, maps, y_[2], y_[3]};
    return tagged(4, dims, kF32, kAbcd16b);
  }
  int kernel_dims(int64_t maps, int64_t* dims) const {
    const int64_t groups = groups_of(maps);
    int rank = 0;
    if (f_.groups > 1) dims[rank++] = groups;
    dims[rank++] = maps / groups;
    dims[rank++] = x_[1] / f_.groups;
    dims[rank++] = taps_[0];
    dims[rank++] = taps_[1];
    return rank;
  }
  DescPointer kernel_desc(int64_t maps) const {
    int64_t dims[5];
    const int rank = kernel_dims(maps, dims);
    const int tag = f_.is_transposed ? kIohw16i16o
                    : is_depthwise_  ? kGoihw16g
                    : f_.groups > 1  ? kGoihw16i16o
                    : is_blocked_    ? kOihw16i16o
                                     : kOhwi16o;
    return tagged(rank, dims, kF32, tag);
  }
  std::vector<DescPointer> operand_descs(const std::vector<PostOp>& ops, int64_t images, int64_t maps) const {
    std::vector<DescPointer> made;
    for (const PostOp& op : ops) {
      const int64_t dims[] = {1, op.form == kEpilogueByChannel ? maps : 1, 1, 1};
      if (op.tensor < 0) {
        made.emplace_back(nullptr, api().memory_desc_destroy);
      } else {
        made.push_back(op.form == kEpilogueWhole ? y_desc(images, maps) : tagged(4, dims, kF32, kAbcd));
      }
    }
    return made;
  }

  const ConvolveFields f_;
  const bool is_blocked_, has_bias_;
  bool is_depthwise_;
  int64_t x_[4], y_[4], taps_[2], unit_;
};

Layer layer_of(const ConvolveFields& fields, const Descs& inputs, const Descs& outputs) {
  return {fields, inputs[kX], inputs[kKernel], outputs[0], inputs.has(kBiasInput)};
}

template <class Params>
const char* fits(const Params& params, const Descs& inputs, const Descs& outputs) {
  const ConvolveFields fields = params.fields();
  if (const char* reason = Layer::refusal(fields, inputs, outputs)) return reason;
  if (!opened()) return why_closed();
  const Layer layer = layer_of(fields, inputs, outputs);
  const DescriptorPointer whole = layer.primitive(layer.images(), layer.at_once(), {}, {});
  return whole && is_fast(whole.get()) ? nullptr : "oneDNN has no fast kernel for it";
}

template <class Params>
int absorb(const Params&, const Descs&, const Descs& outputs, const Epilogue& program) {
  int n_steps = 0;
  const std::vector<PostOp> ops = post_ops(program, outputs[0], kChannelAxis, &n_steps);
  for (const PostOp& op : ops)
    if (op.tensor >= 0 && op.type != DT_TYPE_FLOAT) return 0;
  return n_steps;
}

template <class Params>
void prepare(const Params& params, const Descs& inputs, const Descs& outputs, const Emit& emit) {
  const float* const kernel = inputs[kKernel].template data<float>();
  if (!kernel) return;
  const Layer layer = layer_of(params.fields(), inputs, outputs);
  const uint64_t bytes = static_cast<uint64_t>(layer.all_packed_bytes());
  char* const packed = emit.alloc<char>(bytes);
  layer.pack(kernel, packed);
  emit.give(packed, bytes);
}

template <class Params>
Work plan(const Params& params, const Descs& inputs, const Descs& outputs, const RunSetup& setup) {
  if (outputs[0].max_volume() == 0 || inputs[kX].max_volume() == 0) return {};
  const Layer layer = layer_of(params.fields(), inputs, outputs);
  if (setup.packed_bytes() != static_cast<uint64_t>(layer.all_packed_bytes()))
    fail(DT_PLAN_CORRUPT, "the packed kernel has %llu bytes", static_cast<unsigned long long>(setup.packed_bytes()));
  return layer.plan(setup, outputs[0]);
}

template <class Params>
void enqueue(const Params&, Work& work, const Run& run) {
  work.run(run);
}

#define ONEDNN_ROW(Params, name, formats_) \
  {.tactic = name,                         \
   .needs = kAvx512,                       \
   .types = "f32 f32 f32 -> f32",          \
   .formats = formats_,                    \
   .fits = fits<Params>,                   \
   .prepare = prepare<Params>,             \
   .enqueue = enqueue<Params>,             \
   .absorb = absorb<Params>,               \
   .replaces = inputs_bits(kKernel),       \
   .plan = plan<Params>}

constexpr Row<ConvolutionParams, Work> kConvolutionRows[] = {
    ONEDNN_ROW(ConvolutionParams, "blocked", "chw16 linear linear -> chw16"),
    ONEDNN_ROW(ConvolutionParams, "stem", "linear linear linear -> chw16"),
};
constexpr Row<DeconvolutionParams, Work> kDeconvolutionRows[] = {
    ONEDNN_ROW(DeconvolutionParams, "blocked", "chw16 linear linear -> chw16"),
};

}  // namespace
}  // namespace onednn

DOVETAIL_IMPLEMENTS("Convolution@1#onednn.cpu", ConvolutionParams, onednn::kConvolutionRows)
DOVETAIL_IMPLEMENTS("Deconvolution@1#onednn.cpu", DeconvolutionParams, onednn::kDeconvolutionRows)
