// SPDX-License-Identifier: Apache-2.0
// The least that a test program needs: say what was expected where, count, go on.
#ifndef DOVETAIL_TESTS_CHECK_HPP
#define DOVETAIL_TESTS_CHECK_HPP

#include <cstdio>
#include <sstream>

namespace dovetail::tests {

inline int n_failures = 0;

template <typename A, typename B>
void expect_equal(const A& got, const B& expected, const char* what, const char* file, int line) {
  if (got == expected) return;
  std::ostringstream text;
  text << file << ":" << line << ": " << what << " is " << got << ", expected " << expected << "\n";
  std::fputs(text.str().c_str(), stderr);
  ++n_failures;
}

inline int report(const char* name) {
  std::printf("%s: %s\n", name, n_failures ? "FAILED" : "ok");
  return n_failures ? 1 : 0;
}

}  // namespace dovetail::tests

#define EXPECT_EQ(got, expected) ::dovetail::tests::expect_equal((got), (expected), #got, __FILE__, __LINE__)
#define EXPECT(claim) EXPECT_EQ(static_cast<bool>(claim), true)

#endif
