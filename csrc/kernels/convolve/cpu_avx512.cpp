// SPDX-License-Identifier: Apache-2.0
#include "cpu_generic.hpp"
