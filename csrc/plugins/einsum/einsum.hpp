// SPDX-License-Identifier: Apache-2.0
// y[...] = sum of products of the inputs over the letters of `equation` that y does not have: "ij,jk->ik", "ij->ji"
//   reduces to a matrix product whose indices run over several axes (dovetail/simd/gemm_args.hpp); nothing is moved
//   before. One input is multiplied by nothing
#ifndef DOVETAIL_PLUGINS_EINSUM_EINSUM_HPP
#define DOVETAIL_PLUGINS_EINSUM_EINSUM_HPP

#include "dovetail/plugin.hpp"

struct EinsumParams {
  dovetail::Text equation;  // with an arrow, in letters, without blanks
};
DOVETAIL_READS(EinsumParams, equation)

#endif
