// SPDX-License-Identifier: Apache-2.0
// The plugin library of the rows that call oneDNN.
#include "dovetail/plugin.hpp"

DOVETAIL_LIBRARY("dovetail_onednn", DOVETAIL_VERSION, "")
