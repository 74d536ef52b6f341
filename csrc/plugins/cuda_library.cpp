// SPDX-License-Identifier: Apache-2.0
// The plugin library of the built-in layers' CUDA kernels; the cuda_* files in the folders beside it add to its table.
#include "dovetail/plugin.hpp"

DOVETAIL_LIBRARY("dovetail_cuda", DOVETAIL_VERSION, "")
