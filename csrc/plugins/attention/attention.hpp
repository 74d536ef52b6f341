// SPDX-License-Identifier: Apache-2.0
// y = softmax(cap(scale * query key^T) + mask) value, for each head, block by block of keys: scores are never stored
//   heads    neighbours of query share a head of key and value
//   keys     those of the past, then the others; which of them count is an interval for each query, and the mask
//   numerics float32 whatever the type; where no key counts, y is 0
#ifndef DOVETAIL_PLUGINS_ATTENTION_ATTENTION_HPP
#define DOVETAIL_PLUGINS_ATTENTION_ATTENTION_HPP

#include "cpu_kernels.hpp"
#include "dovetail/plugin.hpp"
#include "kernels/spec/enumerations.hpp"

enum : int32_t { DOVETAIL_ATTENTION_NORMALIZATION_OP(DOVETAIL_ENUMERATOR, kNorm) };
enum AttentionPort : int { kQuery, kKey, kValue, kMask, kPastKey, kPastValue, kLengths };

// A tensor of three or four dims as [batch, heads, length, size].
struct HeadsView {
  int64_t batch, heads, length, size;
  AttentionTensor steps;  // without data
};

struct AttentionParams {
  int32_t norm_op = kNormSoftmax, causal = 0;
  double scale = 1, softcap = 0;
  int64_t left_window = -1, right_window = -1, num_heads = 0, num_kv_heads = 0;

  void check_fields() const {
    constexpr int64_t kMost = 2147483647;
    dovetail::expect_field("norm_op", norm_op, kNormNone, kNormSoftmax);
    dovetail::expect_field("left_window", left_window, -1, kMost);
    dovetail::expect_field("right_window", right_window, -1, kMost);
    dovetail::expect_field("num_heads", num_heads, 0, kMost);
    dovetail::expect_field("num_kv_heads", num_kv_heads, 0, kMost);
  }

  // Throws if these dims are none of such a tensor.
  static HeadsView view(const char* name, const int64_t* dims, int rank, int64_t heads) {
    if (rank == 4) {
      const int64_t row = dims[3], head = dims[2] * row;
      return {dims[0], dims[1], dims[2], dims[3], {nullptr, dims[1] * head, head, row}};
    }
    if (rank != 3 || heads < 1 || dims[2] % heads != 0) {
      dovetail::fail(DT_SHAPE, "%s of rank %d has not %lld heads", name, rank, static_cast<long long>(heads));
    }
    return {dims[0], heads, dims[1], dims[2] / heads, {nullptr, dims[1] * dims[2], dims[2] / heads, dims[2]}};
  }
  int64_t heads_of(int port) const { return port == kQuery ? num_heads : num_kv_heads; }

  void check_shapes(const dovetail::Shapes& inputs, const dovetail::Shapes& outputs) const {
    const dovetail::Shape given[] = {inputs.get(kQuery, "query"), inputs.get(kKey, "key"), inputs.get(kValue, "value")};
    HeadsView views[3];
    for (int i = 0; i < 3; ++i) views[i] = view(given[i].name(), given[i].dims(), given[i].rank(), heads_of(i));
    const HeadsView &q = views[0], &k = views[1], &v = views[2];
    if (k.batch != q.batch || k.size != q.size || v.batch != q.batch || v.heads != k.heads || v.length != k.length) {
      dovetail::fail(DT_SHAPE, "query, key and value do not agree");
    }
    if (k.heads < 1 || q.heads % k.heads != 0) {
      dovetail::fail(DT_SHAPE, "%lld heads of query share %lld of key", static_cast<long long>(q.heads),
                     static_cast<long long>(k.heads));
    }
    int64_t total = k.length;
    if (inputs.has(kPastKey) != inputs.has(kPastValue)) dovetail::fail(DT_SHAPE, "half of the past is missing");
    if (inputs.has(kPastKey)) {
      const dovetail::Shape past = inputs.get(kPastKey, "past_key");
      const int64_t length = past[2], key[] = {q.batch, k.heads, length, k.size};
      const int64_t value[] = {q.batch, k.heads, length, v.size};
      dovetail::expect_dims(past, key, 4);
      dovetail::expect_dims(inputs.get(kPastValue, "past_value"), value, 4);
      total += length;
    }
    if (inputs.has(kLengths)) dovetail::expect_dims(inputs.get(kLengths, "lengths"), &q.batch, 1);
    if (inputs.has(kMask)) {
      const dovetail::Shape mask = inputs.get(kMask, "mask");
      const int64_t scores[] = {q.batch, q.heads, q.length, total};
      bool fits = mask.rank() >= 1 && mask.rank() <= 4 && mask[-1] <= total;
      for (int i = 2; fits && i <= mask.rank(); ++i) fits = mask[-i] == 1 || mask[-i] == scores[4 - i];
      if (!fits) dovetail::fail(DT_SHAPE, "the mask does not spread over the scores");
    }
    const int64_t four[] = {q.batch, q.heads, q.length, v.size}, three[] = {q.batch, q.length, q.heads * v.size};
    const bool is_four = given[0].rank() == 4;
    dovetail::expect_dims(outputs.get(0, "y"), is_four ? four : three, is_four ? 4 : 3);
  }
};
DOVETAIL_READS(AttentionParams, norm_op, causal, scale, softcap, left_window, right_window, num_heads, num_kv_heads)

#endif
