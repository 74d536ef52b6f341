// SPDX-License-Identifier: Apache-2.0
// What the rows of layers with integers of 8 bits have in common: packing of b, and the vectors of a run. For rows
// files.
#ifndef DOVETAIL_KERNELS_QUANTIZED_CPU_ROWS_HPP
#define DOVETAIL_KERNELS_QUANTIZED_CPU_ROWS_HPP

#include "kernels/layout/shares.hpp"
#include "kernels/quantized/args.hpp"

DOVETAIL_OPEN_NAMESPACE

struct QuantizedKernels {
  void (*sums)(const QuantizedArgs& args, int64_t first, int64_t last);
  void (*a_sums)(const QuantizedArgs& args, int64_t first, int64_t last);
  void (*depthwise)(const QuantizedDepthwise& args, int64_t first, int64_t last);
  void (*fill)(const QuantizedFill& args, int64_t first, int64_t last);
  void (*rows)(const QuantizedRows& args, int64_t first, int64_t last);
  void (*pack)(const QuantizedPack& args, int64_t first, int64_t last);
  int64_t panels;
  void (*tiles)(const QuantizedArgs& args, int64_t first, int64_t last, void* scratch) = nullptr;  // instead of sums
};

#define DT_QUANTIZED_KERNELS(isa, needs)                                                         \
  inline constexpr QuantizedKernels isa##_quantized = {                                          \
      isa::quantized_sums, isa::quantized_a_sums, isa::quantized_depthwise, isa::quantized_fill, \
      isa::quantized_rows, isa::quantized_pack,   isa::kQuantizedPanels};
DOVETAIL_EACH_ISA(DT_QUANTIZED_KERNELS)
#if defined(__x86_64__)
DT_QUANTIZED_KERNELS(avx512vnni, kAvx512Vnni)
inline constexpr QuantizedKernels amx_quantized = {.sums = nullptr,
                                                   .a_sums = avx512vnni::quantized_a_sums,
                                                   .depthwise = nullptr,
                                                   .fill = avx512vnni::quantized_fill,
                                                   .rows = avx512vnni::quantized_rows,
                                                   .pack = avx512vnni::quantized_pack,
                                                   .panels = 2,
                                                   .tiles = amx::quantized_tiles};
#endif
#undef DT_QUANTIZED_KERNELS

// ROW(isa, needs) for each instruction set that these kernels are compiled for, best first.
#if defined(__x86_64__)
#define DOVETAIL_EACH_QUANTIZED_ISA(ROW) ROW(amx, kAmx) ROW(avx512vnni, kAvx512Vnni) DOVETAIL_EACH_ISA(ROW)
#else
#define DOVETAIL_EACH_QUANTIZED_ISA(ROW) DOVETAIL_EACH_ISA(ROW)
#endif

inline int64_t whole_lines(int64_t bytes) { return (bytes + 63) / 64 * 64; }

// One value of an integer type of 8 bits as the kernels count it: a in uint8, b in int8.
inline int32_t as_unsigned(uint8_t stored, DataType type) { return type == DataType::kINT8 ? stored ^ 0x80 : stored; }
inline int32_t as_signed(uint8_t stored, DataType type) {
  return static_cast<int8_t>(type == DataType::kUINT8 ? stored ^ 0x80 : stored);
}

// b as the kernels read it: panels, the panel of ones, and for each column the sum of b and its zero point.
struct QuantizedPacked {
  int64_t groups = 0, columns = 0, entries = 0;  // columns of a group
  bool has_zeros = false;                        // b may have zero points, so there is a panel of ones

  int64_t panels() const { return (columns + kQuantizedColumns - 1) / kQuantizedColumns; }
  int64_t padded() const { return groups * panels() * kQuantizedColumns; }  // columns of all groups
  int64_t panel_bytes() const { return entries * kQuantizedEntryBytes; }
  int64_t ones_at() const { return groups * panels() * panel_bytes(); }
  int64_t sums_at() const { return ones_at() + (has_zeros ? panel_bytes() : 0); }
  int64_t zeros_at() const { return sums_at() + padded() * 4; }
  int64_t end() const { return zeros_at() + (has_zeros ? padded() * 4 : 0); }
  // Tiles are read as a whole, up to three entries behind the last panel.
  int64_t bytes() const {
    const int64_t read = ones_at() + 3 * kQuantizedEntryBytes;
    return whole_lines(end() > read ? end() : read);
  }

  // Panels [first, last) of all groups. value(group, column, entry, lane) is an element in int8, 0 where there is none.
  template <class Value>
  void pack_panels(const Value& value, int64_t first, int64_t last, char* to) const {
    int32_t* const sums = reinterpret_cast<int32_t*>(to + sums_at());
    if (first == 0) memset(to + end(), 0, static_cast<size_t>(bytes() - end()));
    for (int64_t panel = first; panel < last; ++panel) {
      int8_t* const b = reinterpret_cast<int8_t*>(to) + panel * panel_bytes();
      const int64_t group = panel / panels(), column = panel % panels() * kQuantizedColumns;
      int32_t* const sum = sums + panel * kQuantizedColumns;
      for (int64_t c = 0; c < kQuantizedColumns; ++c) sum[c] = 0;
      for (int64_t entry = 0; entry < entries; ++entry) {
        for (int64_t c = 0; c < kQuantizedColumns; ++c) {
          for (int64_t lane = 0; lane < kQuantizedEntry; ++lane) {
            const int8_t v = column + c < columns ? value(group, column + c, entry, lane) : int8_t{0};
            b[entry * kQuantizedEntryBytes + lane / 4 * 4 * kQuantizedColumns + c * 4 + lane % 4] = v;
            sum[c] += v;
          }
        }
      }
    }
  }

  // Ones where one(entry, lane) is true, and the zero points: those of all columns of all groups, one for all, or none.
  template <class One>
  void pack_zeros(const One& one, const uint8_t* zeros, int64_t n_zeros, DataType type, char* to) const {
    if (!has_zeros) return;
    char* const ones = to + ones_at();
    for (int64_t entry = 0; entry < entries; ++entry) {
      for (int64_t lane = 0; lane < kQuantizedEntry; ++lane) {
        for (int64_t c = 0; c < kQuantizedColumns; ++c) {
          ones[entry * kQuantizedEntryBytes + lane / 4 * 4 * kQuantizedColumns + c * 4 + lane % 4] = one(entry, lane);
        }
      }
    }
    int32_t* const of_columns = reinterpret_cast<int32_t*>(to + zeros_at());
    for (int64_t i = 0; i < padded(); ++i) {
      const bool is_there = zeros != nullptr && (n_zeros == 1 || i < n_zeros);
      of_columns[i] = as_signed(is_there ? zeros[n_zeros == 1 ? 0 : i] : uint8_t{0}, type);
    }
  }
};

// Bytes of the vectors of a run, and where they are.
struct QuantizedVectors {
  int64_t padded;
  int64_t bytes() const { return whole_lines(padded * 4) * 3; }
  int32_t* start(char* at) const { return reinterpret_cast<int32_t*>(at); }
  float* factors(char* at) const { return reinterpret_cast<float*>(at + whole_lines(padded * 4)); }
  float* biases(char* at) const { return reinterpret_cast<float*>(at + 2 * whole_lines(padded * 4)); }
};

// The sums of a run, cut for its threads, each with a slot of the workspace.
struct QuantizedPieces {
  Pieces pieces;
  int64_t grain = 1, slot = 0;
};

constexpr int64_t kTileCopy = 256 << 10;  // bytes of a that are copied at once: with panels of b, what a core caches
constexpr int64_t kTilePixels = 32;       // that are multiplied at once

inline int64_t tile_pixel_bytes(int64_t entries) { return whole_lines((entries > 0 ? entries : 1) * kQuantizedEntry); }
// Room for the copies of a thread; it grows with the extents.
inline int64_t tile_slot(const QuantizedKernels& kernels, int64_t pixels, int64_t entries) {
  if (!kernels.tiles) return 0;
  const int64_t of_one = tile_pixel_bytes(entries), all = (pixels + kTilePixels - 1) / kTilePixels * kTilePixels;
  const int64_t most = kTilePixels * of_one > kTileCopy ? kTilePixels * of_one : kTileCopy;
  return all * of_one < most ? all * of_one : most;
}

// Where nothing is copied, a block is as many whole rows of pixels as give each thread some.
inline QuantizedPieces cut_in_place(int64_t threads, QuantizedArgs* args) {
  const int64_t pixels = (args->rows - 1) * args->pixels + args->last_pixels, pairs = (args->panels() + 1) / 2;
  const int64_t whole = args->a_row == args->pixels * args->a_pixel ? kTilePixels : args->pixels;
  const int64_t all = (pixels + whole - 1) / whole,
                wanted = args->images * args->groups < 4 * threads ? 4 * threads : 1;
  args->block = (all + wanted - 1) / wanted * whole;
  const int64_t places = args->images * args->groups * ((pixels + args->block - 1) / args->block);
  const int64_t shares = threads > 1 ? (4 * threads + places - 1) / places : 1;
  args->splits = shares < pairs ? shares : pairs;
  const double products = static_cast<double>(args->block * args->entries * kQuantizedEntry) *
                          static_cast<double>(pairs * 2 * kQuantizedColumns) / static_cast<double>(args->splits);
  QuantizedPieces cuts;
  cuts.pieces = cut(places * args->splits, products / 64, 1, static_cast<int>(threads));
  return cuts;
}

// Blocks of pixels are as large as their copies may be. Where they are few, threads share the panels of one.
inline QuantizedPieces cut_into_tiles(const QuantizedKernels& kernels, int64_t threads, int64_t room,
                                      QuantizedArgs* args) {
  const int64_t pixels = (args->rows - 1) * args->pixels + args->last_pixels, pairs = (args->panels() + 1) / 2;
  QuantizedPieces cuts;
  cuts.slot = tile_slot(kernels, pixels, args->entries);
  if (cuts.slot > 0 && room / cuts.slot < threads) threads = room / cuts.slot;
  if (threads < 1)
    fail(DT_PLAN_CORRUPT, "the workspace has no room for a copy of %lld bytes", static_cast<long long>(cuts.slot));
  if (args->is_direct) return cut_in_place(threads, args);
  const int64_t most = kTileCopy / tile_pixel_bytes(args->entries) / kTilePixels * kTilePixels;
  const int64_t fit = most > kTilePixels ? most : kTilePixels, n = (pixels + fit - 1) / fit;
  args->block = ((pixels + n - 1) / n + kTilePixels - 1) / kTilePixels * kTilePixels;
  const int64_t places = args->images * args->groups * ((pixels + args->block - 1) / args->block);
  const int64_t wanted = threads > 1 ? (4 * threads + places - 1) / places : 1;
  args->splits = wanted < pairs ? wanted : pairs;
  const double products = static_cast<double>(args->block * args->entries * kQuantizedEntry) *
                          static_cast<double>(pairs * 2 * kQuantizedColumns) / static_cast<double>(args->splits);
  cuts.pieces = cut(places * args->splits, products / 64, 1, static_cast<int>(threads));
  return cuts;
}

// Calls the kernel for sums.
inline void run_sums(const Run& run, const QuantizedKernels& kernels, const QuantizedPieces& cuts,
                     const QuantizedArgs& args, char* slots) {
  if (!kernels.tiles) {
    return run_pieces(run, cuts.pieces, [&](int64_t first, int64_t last) { kernels.sums(args, first, last); });
  }
  run_shares(run, cuts.pieces, cuts.grain, [&](int32_t piece, int64_t first, int64_t last) {
    kernels.tiles(args, first, last, slots + piece * cuts.slot);
  });
}

// The inputs behind a and b, by their index; -1 where a layer has no such input.
struct QuantizedInputs {
  int a_zero, b_zero, factor, bias, y_zero;
};

// Limits of y as it is stored.
struct QuantizedLimits {
  int64_t low, high;
};

// The same within those of the type.
inline QuantizedLimits limits_of(DataType type, QuantizedLimits given) {
  const int64_t least = type == DataType::kINT8 ? -128 : 0;
  return {given.low > least ? given.low : least, given.high < least + 255 ? given.high : least + 255};
}

// A zero point of a run; `absent` as stored where there is none.
inline uint8_t zero_of(const Run& run, int input) {
  return input >= 0 && run.has_input(input) ? *run.input(input).data<const uint8_t>() : uint8_t{0};
}

// Columns of the groups, one behind another, into padded vectors.
template <class From, class To>
void spread(const From* from, int64_t n, const QuantizedPacked& packed, To* to) {
  const int64_t padded = packed.panels() * kQuantizedColumns;
  for (int64_t g = 0; g < packed.groups; ++g) {
    for (int64_t c = 0; c < padded; ++c) {
      const int64_t column = g * packed.columns + c;
      const bool is_there = from != nullptr && c < packed.columns && (n == 1 || column < n);
      to[g * padded + c] = is_there ? static_cast<To>(from[n == 1 ? 0 : column]) : To{0};
    }
  }
}

// Room for the sums of a, where b may have zero points.
inline int64_t a_sums_bytes(const QuantizedPacked& packed, int64_t pixels) {
  return packed.has_zeros ? whole_lines(pixels * 4) : 0;
}

// What becomes of the sums in this run. `depth` is the number of k; `packed_b` is b as packed.
inline QuantizedFinish finish_of(const Run& run, const QuantizedInputs& in, const QuantizedLimits& limits,
                                 const QuantizedPacked& packed, const char* packed_b, int64_t depth, char* vectors) {
  const QuantizedVectors v = {packed.padded()};
  const DataType y_type = run.output(0).type();
  QuantizedFinish f = {};
  f.y_type = static_cast<int32_t>(y_type);
  int32_t* const start = v.start(vectors);
  f.start = start;
  const bool has_bias = run.has_input(in.bias), is_float = y_type == DataType::kFLOAT;
  const int64_t n_biases = has_bias ? run.input(in.bias).volume() : 0;
  spread(has_bias && !is_float ? run.input(in.bias).data<const int32_t>() : nullptr, n_biases, packed, start);
  const int32_t* const sums = reinterpret_cast<const int32_t*>(packed_b + packed.sums_at());
  const int32_t* const zeros = reinterpret_cast<const int32_t*>(packed_b + packed.zeros_at());
  const int32_t a_zero = as_unsigned(zero_of(run, in.a_zero), run.input(0).type());
  bool is_centred = true;
  for (int64_t i = 0; i < packed.padded(); ++i) {
    uint32_t of_b = static_cast<uint32_t>(sums[i]);  // less the zero points, modulo 2^32
    if (packed.has_zeros) {
      of_b -= static_cast<uint32_t>(depth) * static_cast<uint32_t>(zeros[i]);
      is_centred = is_centred && zeros[i] == 0;
    }
    start[i] = static_cast<int32_t>(static_cast<uint32_t>(start[i]) - static_cast<uint32_t>(a_zero) * of_b);
  }
  if (!is_centred) f.b_zeros = zeros;
  if (y_type == DataType::kINT32) return f;
  f.factors = v.factors(vectors);
  const Tensor factor = run.input(in.factor);
  spread(factor.data<const float>(), factor.volume(), packed, v.factors(vectors));
  if (is_float && has_bias) {
    f.biases = v.biases(vectors);
    spread(run.input(in.bias).data<const float>(), n_biases, packed, v.biases(vectors));
  }
  if (is_float) return f;
  const bool is_signed = y_type == DataType::kINT8;
  const uint8_t stored = zero_of(run, in.y_zero);
  const int64_t zero = is_signed ? static_cast<int8_t>(stored) : stored;
  const QuantizedLimits within = limits_of(y_type, limits);
  f.zero = static_cast<float>(zero);
  f.low = static_cast<float>(within.low - zero);
  f.high = static_cast<float>(within.high - zero);
  return f;
}

DOVETAIL_CLOSE_NAMESPACE

#endif
