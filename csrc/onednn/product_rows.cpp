// SPDX-License-Identifier: Apache-2.0
// MatrixMultiply@1#onednn.cpu and FullyConnected@1#onednn.cpu: products of float32 and of bfloat16 matrices.
#include <algorithm>
#include <map>
#include <utility>

#include "plugins/fully_connected/fully_connected.hpp"
#include "plugins/matrix_multiply/matrix_multiply.hpp"
#include "work.hpp"

using namespace dovetail;

namespace onednn {
namespace {

enum { kLeft, kRight, kBiasInput };
constexpr int64_t kPanel = 64;  // columns of a packed matrix that lie together, if it has as many

// y = a * b, [batch, m, k] * [batch, k, n]. A packed b has no batch, and those of a are rows.
struct Product {
  int64_t batch = 1, m = 1, n = 1, k = 1;
  bool is_packed = false;
  int64_t a[3], b[3];  // steps between batches, rows and columns, as they are in the network
  int channel_axis = 0;
  bool has_bias = false;
  DataType type = DataType::kFLOAT, bias_type = DataType::kFLOAT;

  bool is_bf16() const { return type == DataType::kBF16; }
  int word() const { return is_bf16() ? kBf16 : kF32; }
  int64_t bytes() const { return is_bf16() ? 2 : 4; }
};

int word_of(DataType type) { return type == DataType::kBF16 ? kBf16 : kF32; }

// The product of a layer at its opt extents, or why there is none.
const char* product_of(const MatrixMultiplyParams& params, const Descs& inputs, const Descs& outputs, Product* p) {
  const Desc a = inputs[kLeft], b = inputs[kRight];
  if (!params.has_m() || !params.has_n()) return "a vector";
  const int batch = a.rank() - 2;
  p->m = a.opt()[params.m_of_a(batch)];
  p->k = a.opt()[params.k_of_a(batch)];
  p->n = b.opt()[params.n_of_b(batch)];
  const bool a_turned = params.op0 == kMatrixTranspose, b_turned = params.op1 == kMatrixTranspose;
  int64_t of_a = 1, of_b = 1;
  bool is_equal = true;
  for (int i = 0; i < batch; ++i) {
    of_a *= a.opt()[i];
    of_b *= b.opt()[i];
    is_equal = is_equal && a.dims()[i] == b.dims()[i] && a.opt()[i] == b.opt()[i];
  }
  p->type = a.type();
  p->channel_axis = outputs[0].rank() - 1;
  p->is_packed = b.is_constant() && of_b == 1;
  if (a.is_constant()) return "a constant on the left";
  if (p->is_packed) {
    if (b.is_dynamic()) return "a constant of unknown extents";
    if (a_turned && of_a != 1) return "batches of transposed matrices beside one constant";
    p->m *= of_a;
  } else {
    if (b.is_constant()) return "several constant matrices";
    if (!is_equal) return "batches that are repeated";
    p->batch = of_a;
  }
  p->a[0] = p->m * p->k;
  p->a[1] = a_turned ? 1 : p->k;
  p->a[2] = a_turned ? p->m : 1;
  p->b[0] = p->k * p->n;
  p->b[1] = b_turned ? 1 : p->n;
  p->b[2] = b_turned ? p->k : 1;
  return nullptr;
}

const char* product_of(const FullyConnectedParams& params, const Descs& inputs, const Descs& outputs, Product* p) {
  const Desc x = inputs[kLeft], kernel = inputs[kRight];
  if (!kernel.is_constant() || kernel.is_dynamic()) return "a kernel that is computed";
  const int batch = x.rank() - 3;
  for (int i = 0; i < batch; ++i) p->m *= x.opt()[i];
  p->k = kernel.opt()[1];
  p->n = params.num_output_channels;
  p->type = x.type();
  p->channel_axis = outputs[0].rank() - 3;
  p->is_packed = true;
  p->a[0] = p->m * p->k;
  p->a[1] = p->k;
  p->a[2] = 1;
  p->b[0] = p->k * p->n;
  p->b[1] = 1;
  p->b[2] = p->k;
  p->has_bias = inputs.has(kBiasInput);
  if (p->has_bias) p->bias_type = inputs[kBiasInput].type();
  return nullptr;
}

// Its primitives.
class Layer {
 public:
  explicit Layer(const Product& p) : p_(p) {
    for (const int64_t columns : {int64_t{64}, int64_t{48}, int64_t{32}, int64_t{16}}) {
      panel_ = columns;
      if (columns <= p.n) break;
    }
  }

  // A part of the product: some batches, or rows of the only one, or columns where it has one row.
  struct Part {
    Share batches, rows, columns;
  };

  DescriptorPointer primitive(const Part& part, const std::vector<PostOp>& ops,
                              const std::vector<DescPointer>& operands) const {
    const OneThread one;
    const DescPointer a = a_desc(part), b = b_desc(part), y = y_desc(part), bias = bias_desc(part);
    const Owned<Attributes> with = attributes(ops, operands);
    PrimitiveDesc* made = nullptr;
    const int status =
        api().matmul_primitive_desc_create(&made, api().engine, a.get(), b.get(), bias.get(), y.get(), with.get());
    return {status == 0 ? made : nullptr, api().primitive_desc_destroy};
  }
  Part whole() const { return {{0, p_.batch}, {0, p_.m}, {0, p_.n}}; }

  uint64_t packed_bytes() const { return api().memory_desc_get_size(b_desc(whole()).get()); }
  void pack(const void* b, void* to) const {
    const int64_t dims[] = {p_.k, p_.n};
    const DescPointer from = strided(2, dims, p_.word(), p_.b + 1), packed = b_desc(whole());
    reorder(from.get(), b, packed.get(), to);
  }

  Work plan(const RunSetup& setup, const Desc& y) const {
    Work work;
    int n_steps = 0;
    const std::vector<PostOp> ops = post_ops(setup.epilogue(), y, p_.channel_axis, &n_steps);
    if (n_steps != setup.epilogue().n_steps())
      fail(DT_UNSUPPORTED, "the epilogue has more steps than its kernel said that it computes");
    using Key = std::pair<int64_t, std::pair<int64_t, int64_t>>;
    std::map<Key, std::pair<DescriptorPointer, std::shared_ptr<Primitive>>> made;
    for (const Part& part : parts(setup.n_threads())) {
      const std::vector<DescPointer> operands = operand_descs(part, ops);
      const Key key = {part.batches.n, {part.rows.n, part.columns.n}};
      if (!made.count(key)) {
        DescriptorPointer descriptor = primitive(part, ops, operands);
        if (!descriptor) fail(DT_UNSUPPORTED, "oneDNN has no product of these extents");
        std::shared_ptr<Primitive> primitive = primitive_of(descriptor.get());
        made.emplace(key, std::make_pair(std::move(descriptor), std::move(primitive)));
      }
      Task task(made.at(key).second);
      const int64_t bytes = p_.bytes();
      const int64_t y_at = (part.batches.first * p_.m + part.rows.first) * p_.n + part.columns.first;
      task.add(kSource, a_desc(part).get(),
               {Place::kInput, kLeft, bytes * (part.batches.first * p_.a[0] + part.rows.first * p_.a[1])});
      if (p_.is_packed) {
        const int64_t in_front = part.columns.first / panel_ * static_cast<int64_t>(panel_bytes());
        task.add(kWeights, b_desc(part).get(), {Place::kPacked, 0, in_front});
      } else {
        task.add(kWeights, b_desc(part).get(), {Place::kInput, kRight, bytes * part.batches.first * p_.b[0]});
      }
      task.add(kDestination, y_desc(part).get(), {Place::kOutput, 0, bytes * y_at});
      if (p_.has_bias) {
        const int64_t size = p_.bias_type == DataType::kBF16 ? 2 : 4;
        task.add(kBias, bias_desc(part).get(), {Place::kInput, kBiasInput, size * part.columns.first});
      }
      for (size_t i = 0; i < ops.size(); ++i) {
        if (ops[i].tensor < 0) continue;
        const int64_t size = ops[i].type == DT_TYPE_BF16 ? 2 : 4;
        const int64_t at = ops[i].form == kEpilogueWhole       ? y_at
                           : ops[i].form == kEpilogueByChannel ? part.columns.first
                                                               : 0;
        task.add(operand_of(static_cast<int>(i)), operands[i].get(), {Place::kOperand, ops[i].tensor, size * at});
      }
      task.add_scratch(api().primitive_desc_query_md(made.at(key).first.get(), kScratch, 0));
      work.tasks.push_back(std::move(task));
    }
    return work;
  }

 private:
  std::vector<Part> parts(int n_threads) const {
    constexpr int64_t kLeastRows = 4;  // below, panels are read too often
    std::vector<Part> made;
    const int64_t threads = std::max(n_threads, 1);
    Part part = whole();
    if (p_.batch > 1) {
      for (const Share& share : shares(p_.batch, threads)) made.push_back({share, part.rows, part.columns});
    } else if (p_.m == 1 && p_.is_packed) {
      const int64_t panels = (p_.n + panel_ - 1) / panel_;
      for (const Share& share : shares(panels, threads)) {
        const int64_t first = share.first * panel_;
        made.push_back({part.batches, part.rows, {first, std::min(share.n * panel_, p_.n - first)}});
      }
    } else {
      for (const Share& share : shares(p_.m, std::min(threads, std::max<int64_t>(p_.m / kLeastRows, 1))))
        made.push_back({part.batches, share, part.columns});
    }
    return made;
  }

  // A packed b is of rank 2, others of rank 3.
  DescPointer matrix(const int64_t* dims, int word, const int64_t* steps) const {
    return p_.is_packed ? strided(2, dims + 1, word, steps + 1) : strided(3, dims, word, steps);
  }
  DescPointer a_desc(const Part& part) const {
    const int64_t dims[] = {part.batches.n, part.rows.n, p_.k};
    return matrix(dims, p_.word(), p_.a);
  }
  DescPointer y_desc(const Part& part) const {
    const int64_t dims[] = {part.batches.n, part.rows.n, part.columns.n};
    const int64_t row = part.rows.n == 1 ? part.columns.n : p_.n, steps[] = {p_.m * p_.n, row, 1};
    return matrix(dims, p_.word(), steps);
  }
  DescPointer b_desc(const Part& part) const {
    const int64_t dims[] = {part.batches.n, p_.k, part.columns.n};
    if (!p_.is_packed) return strided(3, dims, p_.word(), p_.b);
    const int tag = (p_.is_bf16() ? kPairPanels : kPanels) + static_cast<int>(panel_ / 16) - 1;
    return tagged(2, dims + 1, p_.word(), tag);
  }
  uint64_t panel_bytes() const {
    return api().memory_desc_get_size(b_desc({{0, 1}, {0, p_.m}, {0, std::min(panel_, p_.n)}}).get());
  }
  DescPointer bias_desc(const Part& part) const {
    if (!p_.has_bias) return {nullptr, api().memory_desc_destroy};
    const int64_t dims[] = {1, 1, part.columns.n}, steps[] = {part.columns.n, part.columns.n, 1};
    return matrix(dims, word_of(p_.bias_type), steps);
  }
  std::vector<DescPointer> operand_descs(const Part& part, const std::vector<PostOp>& ops) const {
    std::vector<DescPointer> made;
    for (const PostOp& op : ops) {
      const int word = op.type == DT_TYPE_BF16 ? kBf16 : kF32;
      if (op.tensor < 0) {
        made.emplace_back(nullptr, api().memory_desc_destroy);
      } else if (op.form == kEpilogueWhole) {
        const int64_t dims[] = {part.batches.n, part.rows.n, part.columns.n};
        const int64_t row = part.rows.n == 1 ? part.columns.n : p_.n, steps[] = {p_.m * p_.n, row, 1};
        made.push_back(matrix(dims, word, steps));
      } else {
        const int64_t n = op.form == kEpilogueByChannel ? part.columns.n : 1;
        const int64_t dims[] = {1, 1, n}, steps[] = {n, n, 1};
        made.push_back(matrix(dims, word, steps));
      }
    }
    return made;
  }

  const Product p_;
  int64_t panel_ = kPanel;
};

template <class Params>
const char* fits(const Params& params, const Descs& inputs, const Descs& outputs) {
  Product product;
  if (const char* reason = product_of(params, inputs, outputs, &product)) return reason;
  if (product.batch * product.m * product.n * product.k == 0) return "no elements";
  if (!opened()) return why_closed();
  const Layer layer(product);
  const DescriptorPointer whole = layer.primitive(layer.whole(), {}, {});
  return whole && is_fast(whole.get()) ? nullptr : "oneDNN has no fast kernel for it";
}

template <class Params>
int absorb(const Params& params, const Descs& inputs, const Descs& outputs, const Epilogue& program) {
  Product product;
  if (product_of(params, inputs, outputs, &product)) return 0;
  int n_steps = 0;
  post_ops(program, outputs[0], product.channel_axis, &n_steps);
  return n_steps;
}

template <class Params>
void prepare(const Params& params, const Descs& inputs, const Descs& outputs, const Emit& emit) {
  const void* const b = inputs[kRight].template data<void>();
  Product product;
  if (product_of(params, inputs, outputs, &product) || !product.is_packed || !b) return;
  const Layer layer(product);
  const uint64_t bytes = layer.packed_bytes();
  char* const packed = emit.alloc<char>(bytes);
  layer.pack(b, packed);
  emit.give(packed, bytes);
}

template <class Params>
Work plan(const Params& params, const Descs& inputs, const Descs& outputs, const RunSetup& setup) {
  Product product;
  if (const char* reason = product_of(params, inputs, outputs, &product)) fail(DT_UNSUPPORTED, "%s", reason);
  if (product.batch * product.m * product.n == 0) return {};
  if (product.k == 0) fail(DT_UNSUPPORTED, "oneDNN is not called for sums of nothing");
  const Layer layer(product);
  if (product.is_packed && setup.packed_bytes() != layer.packed_bytes())
    fail(DT_PLAN_CORRUPT, "the packed matrix has %llu bytes", static_cast<unsigned long long>(setup.packed_bytes()));
  return layer.plan(setup, outputs[0]);
}

template <class Params>
void enqueue(const Params&, Work& work, const Run& run) {
  work.run(run);
}

#define ONEDNN_ROW(Params, name, needs_, types_) \
  {.tactic = name,                               \
   .needs = needs_,                              \
   .types = types_,                              \
   .formats = "linear",                          \
   .fits = fits<Params>,                         \
   .prepare = prepare<Params>,                   \
   .enqueue = enqueue<Params>,                   \
   .absorb = absorb<Params>,                     \
   .replaces = inputs_bits(kRight),              \
   .plan = plan<Params>}

constexpr Row<MatrixMultiplyParams, Work> kMatrixRows[] = {
    ONEDNN_ROW(MatrixMultiplyParams, "product", kAvx512, "f32 f32 -> f32"),
    ONEDNN_ROW(MatrixMultiplyParams, "product_bf16", kAvx512Bf16, "bf16 bf16 -> bf16"),
};
constexpr Row<FullyConnectedParams, Work> kConnectedRows[] = {
    ONEDNN_ROW(FullyConnectedParams, "product", kAvx512, "f32 f32 f32 -> f32"),
    ONEDNN_ROW(FullyConnectedParams, "product_bf16", kAvx512Bf16, "bf16|bf16 bf16|bf16 bf16|f32 -> bf16|bf16"),
};

}  // namespace
}  // namespace onednn

DOVETAIL_IMPLEMENTS("MatrixMultiply@1#onednn.cpu", MatrixMultiplyParams, onednn::kMatrixRows)
DOVETAIL_IMPLEMENTS("FullyConnected@1#onednn.cpu", FullyConnectedParams, onednn::kConnectedRows)
