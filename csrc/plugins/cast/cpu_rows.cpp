// SPDX-License-Identifier: Apache-2.0
#include "kernels/conversion/cpu_rows.hpp"
#include "cast.hpp"

DOVETAIL_IMPLEMENTS("Cast@1#cpu", CastParams, dovetail::kConversionRows<CastParams>)
