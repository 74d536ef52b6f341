// SPDX-License-Identifier: Apache-2.0
// What the rows hand to the kernels of Attention.
#ifndef DOVETAIL_PLUGINS_ATTENTION_CPU_KERNELS_HPP
#define DOVETAIL_PLUGINS_ATTENTION_CPU_KERNELS_HPP

#include <stdint.h>

#include "dovetail/detail/host_device.hpp"
#include "dovetail/detail/isa.hpp"

// Steps are elements between neighbours; those of `size` lie side by side. A step of 0 repeats.
struct AttentionTensor {
  void* data;
  int64_t batch, head, row;

  DOVETAIL_HOST_DEVICE int64_t at(int64_t b, int64_t h, int64_t i) const { return b * batch + h * head + i * row; }
};

// Keys that count for a query.
struct AttentionKeys {
  int64_t first, last;
};

struct AttentionArgs {
  AttentionTensor q, k, v, past_k, past_v, mask, y;
  const int64_t* lengths;
  int32_t type;
  bool has_mask, mask_is_bool, has_softmax, causal, has_past;
  int64_t batch, heads, kv_heads, queries, keys, past, masked, size, v_size, left, right;  // keys: all of them
  float scale, softcap;

  DOVETAIL_HOST_DEVICE int64_t group() const { return heads / kv_heads; }
  DOVETAIL_HOST_DEVICE AttentionKeys keys_of(int64_t b, int64_t query) const {
    int64_t end = keys, at = query + past;
    if (lengths) {
      end = lengths[b] < 0 ? 0 : lengths[b] < keys ? lengths[b] : keys;
      if (!has_past) at = query + end - queries;
    }
    AttentionKeys found = {0, end};
    if (has_mask && masked < found.last) found.last = masked;
    if (causal && at + 1 < found.last) found.last = at + 1;
    if (right >= 0 && at + right + 1 < found.last) found.last = at + right + 1;
    if (left >= 0 && at - left > 0) found.first = at - left;
    return found;
  }
};

constexpr int64_t kAttentionRows = 384;  // most rows of an item: keys are packed once for all of them

// Rows are the queries of all heads that share a head of key; items are (batch, head of key, `rows` of them).
struct AttentionWork {
  int64_t rows, blocks;  // of each head of key
};

// Items [first, last), with scratch of attention_floats.
DOVETAIL_KERNELS(int64_t attention_floats(int64_t rows, int64_t size, int64_t v_size);
                 void attention(const AttentionArgs& args, const AttentionWork& work, int64_t first, int64_t last,
                                float* scratch);)

#endif
