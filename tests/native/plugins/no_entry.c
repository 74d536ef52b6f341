/* SPDX-License-Identifier: Apache-2.0
 * A library of something else. */
#define EXPORT __attribute__((visibility("default")))
EXPORT int alpha(void) { return 1; }
EXPORT int beta(void) { return 2; }
EXPORT int gamma_(void) { return 3; }
#ifdef TENSORRT
EXPORT int getPluginCreators(void) { return 4; }
#endif
#ifdef MISSING
int defined_nowhere(void);
EXPORT int dovetail_plugin_entry_v1(void) { return defined_nowhere(); }
#endif
