// SPDX-License-Identifier: Apache-2.0
// y = (x * scale + shift) ^ power
//   inputs   x; scale, shift, power, each optional: 1, 0 and 1 where absent
//   mode     UNIFORM: one value each. CHANNEL: one per extent of channel_axis. ELEMENTWISE: one per element of the dims
//            from channel_axis on, repeated over those before it
//   numerics float32 whatever the type; power is powf, left out where absent
//   padding  lanes are written as zeros
#ifndef DOVETAIL_PLUGINS_SCALE_SCALE_HPP
#define DOVETAIL_PLUGINS_SCALE_SCALE_HPP

#include "dovetail/plugin.hpp"
#include "kernels/spec/enumerations.hpp"

enum ScaleMode : int32_t { DOVETAIL_SCALE_MODE(DOVETAIL_ENUMERATOR, kScale) };

struct ScaleParams {
  int32_t mode = 0;  // ScaleMode
  int64_t channel_axis = 1;

  void check_fields() const { dovetail::expect_field("mode", mode, kScaleUniform, kScaleElementwise); }
  void check_shapes(const dovetail::Shapes& inputs, const dovetail::Shapes& outputs) const {
    static const char* const kNames[] = {"x", "scale", "shift", "power"};
    const dovetail::Shape x = inputs.get(0, kNames[0]);
    expect_same_dims(outputs.get(0, "y"), x);
    const int64_t n = mode == kScaleUniform ? 1 : mode == kScaleChannel ? x[channel_axis] : x.volume_from(channel_axis);
    for (int i = 1; i < 4; ++i)
      if (inputs.has(i)) expect_volume(inputs.get(i, kNames[i]), n);
  }
};
DOVETAIL_READS(ScaleParams, mode, channel_axis)

#endif
