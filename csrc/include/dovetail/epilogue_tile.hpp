// SPDX-License-Identifier: Apache-2.0
// Applies an epilogue to a tile of results in L1, on the CPU. Include it in files that are built for one instruction
// set, with DT_ISA defined as a name of that set: everything is in that namespace, since the same inline function
// compiled for two sets must be two functions. Common programs on float32 run as vector code on the tile where it lies;
// the others' loops are plain, and the compiler makes vector code of them.
//
//   float sums[8 * 32];                         // 8 channels x 32 neighbours in a row-major output
//   ...
//   EpilogueTile tile = {sums, 32, 8, n};       // values, pitch, rows, columns
//   tile.offset = offset_of_first; tile.row_step = height * width;
//   tile.image = image; tile.channel = first_channel; tile.row_channel = 1;
//   apply_epilogue(program, tile);              // sums now hold what is to be stored
#ifndef DOVETAIL_EPILOGUE_TILE_HPP
#define DOVETAIL_EPILOGUE_TILE_HPP

#include <string.h>

#include "dovetail/detail/epilogue_vectors.hpp"
#include "dovetail/epilogue_program.h"
#include "dovetail/tile_math.hpp"

namespace DT_ISA {

// Rows of results and their positions in the output.
struct EpilogueTile {
  float* values;
  int64_t pitch;  // between rows of `values`
  int rows, columns;
  int64_t offset = 0;    // of the first result in the output's memory, in elements; columns lie together
  int64_t row_step = 0;  // between two rows there
  const int64_t* row_offsets = nullptr;     // or, for rows without a pattern, the offset of each; `offset` is added
  int64_t image = 0, channel = 0;           // of the first result
  int row_channel = 0, column_channel = 0;  // 1 where each row, or each column, has a channel of its own
};

constexpr int kEpilogueChunk = 512;  // results that are computed at once: 2 KiB for each register

// A row is too short for a call of memcpy to pay: pieces of a fixed size are moved by instructions.
static inline void copy_floats(const float* from, int n, float* to) {
  int i = 0;
  for (; i + 16 <= n; i += 16) memcpy(to + i, from + i, 64);
  for (; i + 4 <= n; i += 4) memcpy(to + i, from + i, 16);
  for (; i < n; ++i) to[i] = from[i];
}

// n neighbours of a tensor as float32.
static inline void load_operand(const EpilogueOperand& tensor, int64_t at, int n, float* to) {
  switch (tensor.type) {
    case DT_TYPE_FLOAT:
      copy_floats(static_cast<const float*>(tensor.data) + at, n, to);
      return;
    case DT_TYPE_HALF: {
      const uint16_t* p = static_cast<const uint16_t*>(tensor.data) + at;
      for (int i = 0; i < n; ++i) to[i] = half_to_float(p[i]);
      return;
    }
    case DT_TYPE_BF16: {
      const uint16_t* p = static_cast<const uint16_t*>(tensor.data) + at;
      for (int i = 0; i < n; ++i) to[i] = bf16_to_float(p[i]);
      return;
    }
    default: {
      const uint8_t* p = static_cast<const uint8_t*>(tensor.data) + at;
      for (int i = 0; i < n; ++i) to[i] = p[i] != 0 ? 1.0f : 0.0f;
    }
  }
}

// The elements of a tensor for rows [first, first + rows) of a tile, `columns` for each row: a pointer into the tensor,
// or to copies in `room`.
static inline const float* gather_operand(const EpilogueOperand& tensor, const EpilogueTile& tile, int first, int rows,
                                          float* room) {
  const int n = tile.columns;
  if (tensor.form == kEpilogueWhole) {
    const bool is_one_piece = rows == 1 || (tile.row_offsets == nullptr && tile.row_step == n);
    for (int r = 0; r < rows; ++r) {
      const int64_t start = tile.row_offsets ? tile.row_offsets[first + r] : (first + r) * tile.row_step;
      if (is_one_piece && tensor.type == DT_TYPE_FLOAT)
        return static_cast<const float*>(tensor.data) + tile.offset + start;
      load_operand(tensor, tile.offset + start, is_one_piece ? n * rows : n, room + r * n);
      if (is_one_piece) break;
    }
    return room;
  }
  const bool is_by_column = tensor.form == kEpilogueByChannel && tile.column_channel && tensor.channel_step;
  for (int r = 0; r < rows; ++r) {
    float* const to = room + r * n;
    const int64_t channel = tile.channel + static_cast<int64_t>(first + r) * tile.row_channel;
    const int64_t at = tensor.form == kEpilogueOne ? 0 : tile.image * tensor.image_step + channel * tensor.channel_step;
    if (is_by_column && r > 0 && !tile.row_channel) {
      copy_floats(room, n, to);
    } else if (is_by_column) {
      load_operand(tensor, at, n, to);
    } else {
      float value;
      load_operand(tensor, at, 1, &value);
      for (int i = 0; i < n; ++i) to[i] = value;
    }
  }
  return room;
}

static inline float cast_value(float v, int32_t type) {
  if (type == DT_TYPE_BOOL) return v != 0.0f ? 1.0f : 0.0f;
  if (type != DT_TYPE_INT8) return v;
  const float whole = __builtin_truncf(v);
  return whole < -128.0f ? -128.0f : whole > 127.0f ? 127.0f : whole == whole ? whole : 0.0f;
}

#if defined(__clang__)  // `to` may be an operand: elements do not depend on others
#define DT_INDEPENDENT _Pragma("clang loop vectorize(assume_safety)")
#elif defined(__GNUC__)
#define DT_INDEPENDENT _Pragma("GCC ivdep")
#else
#define DT_INDEPENDENT
#endif

// One operation on n values.
static inline void apply_step(const EpilogueStep& step, const float* a, const float* b, const float* c, float* to,
                              int n) {
#define DT_EACH(name, value)                                    \
  case DT_STEP_##name:                                          \
    DT_INDEPENDENT for (int i = 0; i < n; ++i) to[i] = (value); \
    return;
  switch (step.operation) {
    DT_EACH(ADD, a[i] + b[i])
    DT_EACH(SUB, a[i] - b[i])
    DT_EACH(MUL, a[i] * b[i])
    DT_EACH(DIV, a[i] / b[i])
    DT_EACH(FLOOR_DIV, __builtin_floorf(a[i] / b[i]))
    DT_EACH(MOD, floor_mod_f(a[i], b[i]))
    DT_EACH(FMOD, __builtin_fmodf(a[i], b[i]))
    DT_EACH(POW, __builtin_powf(a[i], b[i]))
    DT_EACH(MIN, a[i] < b[i] || a[i] != a[i] ? a[i] : b[i])
    DT_EACH(MAX, a[i] > b[i] || a[i] != a[i] ? a[i] : b[i])
    DT_EACH(EQUAL, a[i] == b[i] ? 1.0f : 0.0f)
    DT_EACH(NOT_EQUAL, a[i] != b[i] ? 1.0f : 0.0f)
    DT_EACH(LESS, a[i] < b[i] ? 1.0f : 0.0f)
    DT_EACH(LESS_EQUAL, a[i] <= b[i] ? 1.0f : 0.0f)
    DT_EACH(GREATER, a[i] > b[i] ? 1.0f : 0.0f)
    DT_EACH(GREATER_EQUAL, a[i] >= b[i] ? 1.0f : 0.0f)
    DT_EACH(AND, a[i] != 0.0f && b[i] != 0.0f ? 1.0f : 0.0f)
    DT_EACH(OR, a[i] != 0.0f || b[i] != 0.0f ? 1.0f : 0.0f)
    DT_EACH(NOT, a[i] != 0.0f ? 0.0f : 1.0f)
    DT_EACH(SELECT, a[i] != 0.0f ? b[i] : c[i])
    DT_EACH(NEG, -a[i])
    DT_EACH(ABS, __builtin_fabsf(a[i]))
    DT_EACH(SIGN, a[i] > 0.0f ? 1.0f : a[i] < 0.0f ? -1.0f : a[i])
    DT_EACH(CEIL, __builtin_ceilf(a[i]))
    DT_EACH(FLOOR, __builtin_floorf(a[i]))
    DT_EACH(ROUND, __builtin_rintf(a[i]))
    DT_EACH(SQRT, __builtin_sqrtf(a[i]))
    DT_EACH(EXP, exp_f(a[i]))
    DT_EACH(EXPM1, expm1_f(a[i]))
    DT_EACH(LOG, __builtin_logf(a[i]))
    DT_EACH(LOG1P, __builtin_log1pf(a[i]))
    DT_EACH(SIGMOID, sigmoid_f(a[i]))
    DT_EACH(SOFTPLUS, softplus_f(a[i]))
    DT_EACH(TANH, tanh_f(a[i]))
    DT_EACH(ERF, __builtin_erff(a[i]))
    DT_EACH(SIN, __builtin_sinf(a[i]))
    DT_EACH(COS, __builtin_cosf(a[i]))
    DT_EACH(TAN, __builtin_tanf(a[i]))
    DT_EACH(ASIN, __builtin_asinf(a[i]))
    DT_EACH(ACOS, __builtin_acosf(a[i]))
    DT_EACH(ATAN, __builtin_atanf(a[i]))
    DT_EACH(SINH, __builtin_sinhf(a[i]))
    DT_EACH(COSH, __builtin_coshf(a[i]))
    DT_EACH(ASINH, __builtin_asinhf(a[i]))
    DT_EACH(ACOSH, __builtin_acoshf(a[i]))
    DT_EACH(ATANH, __builtin_atanhf(a[i]))
    default:
      for (int i = 0; i < n; ++i) to[i] = cast_value(a[i], step.data_type);
  }
#undef DT_EACH
#undef DT_INDEPENDENT
}

// The rows [first, first + rows) of a tile, which are at most kEpilogueChunk results together.
static inline void apply_to_rows(const EpilogueProgram& program, const EpilogueTile& tile, int first, int rows) {
  float room[kEpilogueRegisters][kEpilogueChunk], gathered[3][kEpilogueChunk];
  const int n = rows * tile.columns;
  float* const values = tile.values + first * tile.pitch;
  const bool is_one_piece = rows == 1 || tile.pitch == tile.columns;  // computed on in place
  float* registers[kEpilogueRegisters];
  for (int r = 0; r < kEpilogueRegisters; ++r) registers[r] = room[r];
  if (is_one_piece) registers[0] = values;
  for (int r = 0; r < rows && !is_one_piece; ++r)
    copy_floats(values + r * tile.pitch, tile.columns, room[0] + r * tile.columns);
  for (int s = 0; s < program.n_steps; ++s) {
    const EpilogueStep& step = program.steps[s];
    const float* operands[3] = {};
    for (int k = 0; k < step.n_operands; ++k) {
      const int index = step.index[k];
      if (step.kind[k] == kEpilogueRegister) {
        operands[k] = registers[index];
      } else if (step.kind[k] == kEpilogueTensor) {
        operands[k] = gather_operand(program.tensors[index], tile, first, rows, gathered[k]);
      } else {
        for (int i = 0; i < n; ++i) gathered[k][i] = step.constant[k];
        operands[k] = gathered[k];
      }
    }
    apply_step(step, operands[0], operands[1], operands[2], registers[step.to], n);
  }
  const float* const result = registers[program.steps[program.n_steps - 1].to];
  if (is_one_piece && result == values) return;
  for (int r = 0; r < rows; ++r) copy_floats(result + r * tile.columns, tile.columns, values + r * tile.pitch);
}

// Programs whose operations all have vector code and whose tensors are float32.
static inline bool has_vector_code(const EpilogueProgram& program) {
  for (int s = 0; s < program.n_steps; ++s)
    if (!has_vector_code(program.steps[s])) return false;
  for (int t = 0; t < program.n_tensors; ++t)
    if (program.tensors[t].type != DT_TYPE_FLOAT) return false;
  return true;
}

// A tensor next to the rows of a tile. Values that rows do not share are repeated in `room`, a vector for each row.
static inline VectorOperand tensor_vectors(const EpilogueOperand& tensor, const EpilogueTile& tile, int first, int rows,
                                           float* room) {
  const float* const data = static_cast<const float*>(tensor.data);
  if (tensor.form == kEpilogueWhole && tile.row_offsets == nullptr)
    return {data + tile.offset + first * tile.row_step, tile.row_step, kLanes};
  const int64_t step = tensor.form == kEpilogueOne ? 0 : tensor.channel_step;
  const int64_t at = tensor.form == kEpilogueOne ? 0 : tile.image * tensor.image_step + tile.channel * step;
  if (tile.column_channel && step) return {data + at, tile.row_channel * step, kLanes};
  const int n = tile.row_channel && step ? rows : 1;  // different values
  for (int r = 0; r < n; ++r) store(room + r * kLanes, splat(data[at + (first + r) * tile.row_channel * step]));
  return {room, n > 1 ? kLanes : 0, 0};
}

// Are the steps s and s + 1 x * sigmoid(x), and is the sigmoid's value not read again?
static inline bool is_silu(const EpilogueProgram& program, int s) {
  if (program.steps[s].operation != DT_STEP_SIGMOID || program.steps[s].kind[0] != kEpilogueRegister) return false;
  if (s + 1 == program.n_steps || program.steps[s + 1].operation != DT_STEP_MUL) return false;
  const EpilogueStep &sigmoid = program.steps[s], &product = program.steps[s + 1];
  const int x = sigmoid.index[0], made = sigmoid.to;
  if (x == made || product.kind[0] != kEpilogueRegister || product.kind[1] != kEpilogueRegister) return false;
  const int a = product.index[0], b = product.index[1];
  if (!((a == x && b == made) || (a == made && b == x))) return false;
  for (int t = s + 1; t < program.n_steps && program.steps[t].to != made; ++t) {
    if (t + 1 == program.n_steps) break;
    for (int k = 0; k < program.steps[t + 1].n_operands; ++k)
      if (program.steps[t + 1].kind[k] == kEpilogueRegister && program.steps[t + 1].index[k] == made) return false;
  }
  return true;
}

// Does the step multiply a register, or add to it, and which number?
static inline bool takes_number(const EpilogueStep& step, int operation, int from, float* number) {
  if (step.operation != operation) return false;
  for (int k = 0; k < 2; ++k) {
    if (step.kind[k] != kEpilogueRegister || step.index[k] != from || step.kind[1 - k] != kEpilogueConstant) continue;
    *number = step.constant[1 - k];
    return true;
  }
  return false;
}
static inline bool multiplies(const EpilogueStep& step, int a, int b) {
  if (step.operation != DT_STEP_MUL || step.kind[0] != kEpilogueRegister || step.kind[1] != kEpilogueRegister)
    return false;
  return (step.index[0] == a && step.index[1] == b) || (step.index[0] == b && step.index[1] == a);
}

// Is a register read from step s on, before another value is written to it?
static inline bool is_read(const EpilogueProgram& program, int s, int from) {
  for (; s < program.n_steps; ++s) {
    for (int k = 0; k < program.steps[s].n_operands; ++k)
      if (program.steps[s].kind[k] == kEpilogueRegister && program.steps[s].index[k] == from) return true;
    if (program.steps[s].to == from) return false;
  }
  return false;
}

// The factor in erf if the five steps from s on are a GELU, x * (1 + erf(x * factor)) / 2 with the half on any of the
// factors, and nothing else is made of what they compute on the way; 0 otherwise.
static inline float gelu_factor(const EpilogueProgram& program, int s) {
  if (s + 5 > program.n_steps) return 0.0f;
  const EpilogueStep* const step = program.steps + s;
  float factor, number;
  const int x = step[0].kind[0] == kEpilogueRegister ? step[0].index[0] : step[0].index[1];
  const bool divides =
      step[0].operation == DT_STEP_DIV && step[0].kind[0] == kEpilogueRegister && step[0].kind[1] == kEpilogueConstant;
  if (!divides && !takes_number(step[0], DT_STEP_MUL, x, &factor)) return 0.0f;
  if (divides) factor = 1.0f / step[0].constant[1];
  const int scaled = step[0].to, erf = step[1].to, sum = step[2].to, last = step[3].to;
  if (step[1].operation != DT_STEP_ERF || step[1].kind[0] != kEpilogueRegister || step[1].index[0] != scaled)
    return 0.0f;
  if (!takes_number(step[2], DT_STEP_ADD, erf, &number) || number != 1.0f) return 0.0f;
  if (scaled == x || erf == x || sum == x) return 0.0f;
  const bool is_last = multiplies(step[3], x, sum) && takes_number(step[4], DT_STEP_MUL, last, &number);
  const bool is_of_x = takes_number(step[3], DT_STEP_MUL, x, &number) && last != sum && multiplies(step[4], last, sum);
  const bool is_of_sum = takes_number(step[3], DT_STEP_MUL, sum, &number) && last != x && multiplies(step[4], last, x);
  if (!(is_last || is_of_x || is_of_sum) || number != 0.5f) return 0.0f;
  for (int k = 0; k < 4; ++k)
    if (step[k].to != step[4].to && is_read(program, s + 5, step[k].to)) return 0.0f;
  return factor;
}

// The rows [first, first + rows) of a tile, where they lie.
static void apply_to_vectors(const EpilogueProgram& program, const EpilogueTile& tile, int first, int rows) {
  float room[kEpilogueRegisters - 1][kEpilogueChunk], repeated[3][kEpilogueChunk];
  VectorStep step;
  step.rows = rows;
  step.columns = tile.columns;
  const int64_t padded = (tile.columns + kLanes - 1) / kLanes * kLanes;
  VectorOperand registers[kEpilogueRegisters];
  registers[0] = {tile.values + first * tile.pitch, tile.pitch, kLanes};
  for (int r = 1; r < kEpilogueRegisters; ++r) registers[r] = {room[r - 1], padded, kLanes};
  for (int s = 0; s < program.n_steps; ++s) {
    const EpilogueStep& from = program.steps[s];
    const bool is_two = is_silu(program, s);
    const float gelu = gelu_factor(program, s);
    for (int k = 0; k < from.n_operands; ++k) {
      const int index = from.index[k];
      step.is_number[k] = from.kind[k] == kEpilogueConstant && from.constant[k] == from.constant[k];
      if (from.kind[k] == kEpilogueRegister) {
        step.in[k] = registers[index];
      } else if (from.kind[k] == kEpilogueTensor) {
        step.in[k] = tensor_vectors(program.tensors[index], tile, first, rows, repeated[k]);
      } else {
        store(repeated[k], splat(from.constant[k]));
        step.in[k] = {repeated[k], 0, 0};
      }
    }
    if (gelu != 0.0f) {
      step.in[0] = registers[from.kind[0] == kEpilogueRegister ? from.index[0] : from.index[1]];
      store(repeated[1], splat(gelu));
      step.in[1] = {repeated[1], 0, 0};
    }
    s += gelu != 0.0f ? 4 : is_two;
    const int made = s + 1 == program.n_steps ? 0 : program.steps[s].to;  // elements do not depend on others
    step.to = made == 0 ? tile.values + first * tile.pitch : room[made - 1];
    step.pitch = registers[made].row;
    apply_vector_step(gelu != 0.0f ? kStepGelu : is_two ? kStepSilu : from.operation, step);
  }
}

// Rows without a pattern are computed one by one where there is a tensor as large as the output.
static inline int rows_at_once(const EpilogueProgram& program, const EpilogueTile& tile) {
  if (tile.row_offsets == nullptr) return tile.rows;
  for (int t = 0; t < program.n_tensors; ++t)
    if (program.tensors[t].form == kEpilogueWhole) return 0;
  return tile.rows;
}

// Applies the program to the results of a tile, in place. A tile may have any number of rows and columns.
static inline void apply_epilogue(const EpilogueProgram& program, const EpilogueTile& tile) {
  if (program.n_steps == 0 || tile.columns <= 0) return;
  const bool in_vectors = has_vector_code(program) && rows_at_once(program, tile) > 0;
  for (int column = 0; column < tile.columns; column += kEpilogueChunk) {
    EpilogueTile part = tile;
    part.values += column;
    part.offset += column;
    part.channel += static_cast<int64_t>(column) * tile.column_channel;
    part.columns = tile.columns - column < kEpilogueChunk ? tile.columns - column : kEpilogueChunk;
    int most = kEpilogueChunk / part.columns;
    if (in_vectors) {
      const int padded = (part.columns + kLanes - 1) / kLanes * kLanes;
      most = kEpilogueChunk / padded;
    }
    for (int row = 0; row < tile.rows; row += most) {
      const int rows = tile.rows - row < most ? tile.rows - row : most;
      if (in_vectors) {
        apply_to_vectors(program, part, row, rows);
      } else {
        apply_to_rows(program, part, row, rows);
      }
    }
  }
}

}  // namespace DT_ISA

#endif
