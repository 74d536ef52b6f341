// SPDX-License-Identifier: Apache-2.0
#include "kernels/conversion/cuda_rows.hpp"
#include "identity.hpp"

DOVETAIL_IMPLEMENTS("Identity@1#cuda", IdentityParams, dovetail::kConversionRows<IdentityParams>)
