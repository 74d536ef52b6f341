// SPDX-License-Identifier: Apache-2.0
// Cast@1#cuda: the kernels are in plugins/identity.
#include "cast.hpp"

DOVETAIL_IMPLEMENTS("Cast@1#cuda", CastParams, dovetail::kConversionRows<CastParams>)
