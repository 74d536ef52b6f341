// SPDX-License-Identifier: Apache-2.0
// Checks that the tables of a library follow the rules of plugin.h.
#ifndef DOVETAIL_RUNTIME_TABLE_CHECK_HPP
#define DOVETAIL_RUNTIME_TABLE_CHECK_HPP

#include <string>
#include <utility>
#include <vector>

#include "dovetail/plugin.h"

namespace dovetail {

// (where, what) lines, all of them; empty if the tables may be used. Reads only what the sizes in the headers cover.
std::vector<std::pair<std::string, std::string>> check_tables(const dt_plugin& plugin);

}  // namespace dovetail

#endif
