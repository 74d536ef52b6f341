// SPDX-License-Identifier: Apache-2.0
namespace dovetail {
const char* version() { return DOVETAIL_VERSION; }
}  // namespace dovetail
