// SPDX-License-Identifier: Apache-2.0
#ifndef DOVETAIL_PLUGINS_REFORMAT_SIDE_HPP
#define DOVETAIL_PLUGINS_REFORMAT_SIDE_HPP

#include <stdint.h>

// Element (c, s) of an image is at c / lanes * block + c % lanes + s * step; images follow each other.
struct ReformatSide {
  int64_t lanes, block, step, image;
};

#endif
