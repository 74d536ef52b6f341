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

struct ScaleParams {
  int32_t mode = 0;  // ScaleMode
  int64_t channel_axis = 1;
};
DOVETAIL_READS(ScaleParams, mode, channel_axis)

enum ScaleMode : int32_t { kScaleUniform = 0, kScaleChannel = 1, kScaleElementwise = 2 };

#endif
