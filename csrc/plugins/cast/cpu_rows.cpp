// SPDX-License-Identifier: Apache-2.0
#include "cast.hpp"

DOVETAIL_IMPLEMENTS("Cast@1#cpu", CastParams, dovetail::kConversionRows<CastParams>)
