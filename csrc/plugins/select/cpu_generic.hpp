// SPDX-License-Identifier: Apache-2.0
// The algorithm of Select, compiled once per instruction set. Elements are moved as integers of their width.
#ifndef DOVETAIL_PLUGINS_SELECT_CPU_GENERIC_HPP
#define DOVETAIL_PLUGINS_SELECT_CPU_GENERIC_HPP

#include "cpu_kernels.hpp"

namespace DT_ISA {
namespace {

// a_step and b_step: 1, or 0 where one element stands for all.
template <int a_step, int b_step, class T>
void select_run(const uint8_t* condition, const T* a, const T* b, T* y, int64_t n) {
  for (int64_t i = 0; i < n; ++i) {
    const T yes = a[i * a_step], no = b[i * b_step];
    y[i] = condition[i] != 0 ? yes : no;
  }
}

template <class T>
void select_rows(const SelectArgs& args, const BroadcastRows<3>& rows) {
  for (int64_t i = 0; i < rows.n; ++i) {
    const uint8_t* condition = args.condition + rows.at[0] + i * rows.step[0];
    const T* a = static_cast<const T*>(args.a) + rows.at[1] + i * rows.step[1];
    const T* b = static_cast<const T*>(args.b) + rows.at[2] + i * rows.step[2];
    T* y = static_cast<T*>(args.y) + rows.y + i * rows.y_step;
    const int64_t n = rows.columns;
    if (args.column[0] == 0) {
      const T* from = *condition != 0 ? a : b;
      const int64_t step = *condition != 0 ? args.column[1] : args.column[2];
      if (step != 0) {
        memcpy(y, from, static_cast<size_t>(n) * sizeof(T));
      } else {
        const T one = *from;
        for (int64_t k = 0; k < n; ++k) y[k] = one;
      }
    } else if (args.column[1] != 0) {
      args.column[2] != 0 ? select_run<1, 1>(condition, a, b, y, n) : select_run<1, 0>(condition, a, b, y, n);
    } else {
      args.column[2] != 0 ? select_run<0, 1>(condition, a, b, y, n) : select_run<0, 0>(condition, a, b, y, n);
    }
  }
}

}  // namespace

void select(const SelectArgs& args, int64_t first_row, int64_t last_row, int64_t first_column, int64_t last_column) {
  each_broadcast_rows(args, first_row, last_row, first_column, last_column, [&](const BroadcastRows<3>& rows) {
    switch (args.element_bytes) {
      case 1:
        return select_rows<uint8_t>(args, rows);
      case 2:
        return select_rows<uint16_t>(args, rows);
      case 4:
        return select_rows<uint32_t>(args, rows);
      default:
        return select_rows<uint64_t>(args, rows);
    }
  });
}

}  // namespace DT_ISA

#endif
