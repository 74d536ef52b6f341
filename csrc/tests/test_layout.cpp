// SPDX-License-Identifier: Apache-2.0
// Sizes of tensors in every format, and the checksum.
#include <cstdint>
#include <string>
#include <vector>

#include "check.hpp"
#include "runtime/checksum.hpp"
#include "runtime/layout.hpp"

using namespace dovetail;

namespace {

int64_t bytes(std::vector<int64_t> dims, int type, int format) {
  uint64_t n = 0;
  return tensor_bytes(dims.data(), static_cast<int>(dims.size()), type, format, &n) ? static_cast<int64_t>(n) : -1;
}

void test_channels_are_padded() {
  EXPECT_EQ(bytes({}, DT_TYPE_FLOAT, DT_FORMAT_LINEAR), 4);
  EXPECT_EQ(bytes({2, 3, 5, 7}, DT_TYPE_HALF, DT_FORMAT_LINEAR), 2 * 3 * 5 * 7 * 2);
  EXPECT_EQ(bytes({2, 3, 5, 7}, DT_TYPE_INT8, DT_FORMAT_CHW4), 2 * 4 * 5 * 7);
  EXPECT_EQ(bytes({2, 33, 5, 7}, DT_TYPE_INT8, DT_FORMAT_CHW32), 2 * 64 * 5 * 7);
  EXPECT_EQ(bytes({3, 5, 7}, DT_TYPE_HALF, DT_FORMAT_HWC8), 8 * 5 * 7 * 2);
  EXPECT_EQ(bytes({3, 5, 7}, DT_TYPE_FLOAT, DT_FORMAT_HWC), 3 * 5 * 7 * 4);
  EXPECT_EQ(bytes({1, 3, 5, 7, 9}, DT_TYPE_INT8, DT_FORMAT_CDHW32), 32 * 5 * 7 * 9);
  EXPECT_EQ(bytes({0, 3, 5, 7}, DT_TYPE_FLOAT, DT_FORMAT_CHW16), 0);
}

void test_what_cannot_be_is_refused() {
  EXPECT_EQ(bytes({5, 7}, DT_TYPE_FLOAT, DT_FORMAT_CHW4), -1);         // no channel axis
  EXPECT_EQ(bytes({3, 5, 7}, DT_TYPE_FLOAT, DT_FORMAT_CDHW32), -1);    // no depth
  EXPECT_EQ(bytes({3, 5, 7}, DT_TYPE_FLOAT, DT_FORMAT_DLA_HWC4), -1);  // never computed with
  EXPECT_EQ(bytes({3}, 9, DT_FORMAT_LINEAR), -1);
  EXPECT_EQ(bytes({3}, DT_TYPE_FLOAT, 12), -1);
  EXPECT_EQ(bytes({-1}, DT_TYPE_FLOAT, DT_FORMAT_LINEAR), -1);
  EXPECT_EQ(bytes({INT64_MAX, INT64_MAX}, DT_TYPE_FLOAT, DT_FORMAT_LINEAR), -1);
  EXPECT_EQ(bytes({0, int64_t{1} << 40, int64_t{1} << 40}, DT_TYPE_FLOAT, DT_FORMAT_LINEAR), -1);
}

void test_every_byte_counts() {
  std::vector<unsigned char> data(300);
  for (size_t i = 0; i < data.size(); ++i) data[i] = static_cast<unsigned char>(i * 37);
  for (size_t n : {size_t{0}, size_t{1}, size_t{63}, size_t{64}, size_t{65}, size_t{300}}) {
    const uint64_t before = checksum(data.data(), n);
    for (size_t i = 0; i < n; ++i) {
      data[i] ^= 1 << i % 8;
      EXPECT(checksum(data.data(), n) != before);
      data[i] ^= 1 << i % 8;
    }
    EXPECT_EQ(checksum(data.data(), n), before);
  }
  const unsigned char zeros[2] = {0, 0};
  EXPECT(checksum(zeros, 1) != checksum(zeros, 2));
}

void test_a_hole_reads_as_zeros_wherever_it_is() {
  for (size_t n : {size_t{80}, size_t{128}, size_t{200}, size_t{256}}) {
    for (size_t hole = 0; hole + kChecksumDigits <= n; ++hole) {
      std::string text(n, 'x'), filled = text;
      text.replace(hole, kChecksumDigits, kChecksumDigits, '0');
      filled.replace(hole, kChecksumDigits, "0123456789abcdef");
      EXPECT_EQ(checksum(filled.data(), n, hole), checksum(text.data(), n));
    }
  }
}

}  // namespace

int main() {
  test_channels_are_padded();
  test_what_cannot_be_is_refused();
  test_every_byte_counts();
  test_a_hole_reads_as_zeros_wherever_it_is();
  EXPECT_EQ(hex_digits(0x00ab), "00000000000000ab");
  EXPECT_EQ(tensor_text(DT_TYPE_HALF, DT_FORMAT_CHW4, std::vector<int64_t>{1, -1}.data(), 2), "Half [1, ?] chw4");
  return tests::report("test_layout");
}
