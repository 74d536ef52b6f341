// SPDX-License-Identifier: Apache-2.0
#include "kernels/conversion/cpu_rows.hpp"
#include "identity.hpp"

DOVETAIL_IMPLEMENTS("Identity@1#cpu", IdentityParams, dovetail::kConversionRows<IdentityParams>)
