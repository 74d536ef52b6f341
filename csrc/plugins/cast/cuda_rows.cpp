// SPDX-License-Identifier: Apache-2.0
#include "kernels/conversion/cuda_rows.hpp"
#include "cast.hpp"

DOVETAIL_IMPLEMENTS("Cast@1#cuda", CastParams, dovetail::kConversionRows<CastParams>)
