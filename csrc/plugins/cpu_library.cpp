// SPDX-License-Identifier: Apache-2.0
// The plugin library of the built-in layers' CPU kernels; every cpu_rows.cpp beside it adds to its table.
#include "dovetail/plugin.hpp"

DOVETAIL_LIBRARY("dovetail_cpu", DOVETAIL_VERSION, "")
