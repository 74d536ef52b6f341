// SPDX-License-Identifier: Apache-2.0
// Sums of products of uint8 and int8 in tiles: an item's pixels are copied once, in the order in which tiles want them,
// and multiplied by all panels of the item. Where they lie side by side as a tile wants them, nothing is copied.
#ifndef DOVETAIL_KERNELS_QUANTIZED_TILES_HPP
#define DOVETAIL_KERNELS_QUANTIZED_TILES_HPP

#include "kernels/quantized/finish.hpp"
#include "kernels/simd/tiles.hpp"

namespace DT_ISA {
namespace {

constexpr int64_t kAtOnce = 2 * kTileRows;                          // pixels, and columns, of four tiles of sums
constexpr int64_t kChunkEntries = kTileRowBytes / kQuantizedEntry;  // k of a tile
static_assert(kQuantizedColumns == kTileRows, "a panel is as wide as a tile");
static_assert(kChunkEntries * kQuantizedEntryBytes == kTileBytes, "entries of a panel are a tile");

// Pixels [first, first + n) of an image, counted over its rows, as [chunk of 64 k][pixel, up to whole tiles][64]. A k
// that the last chunk lacks is 0: so whatever follows a panel of b does not count.
__attribute__((noinline)) void copy_pixels(const QuantizedArgs& args, const uint8_t* a, int64_t first, int64_t n,
                                           uint8_t* to) {
  const int64_t chunk_bytes = (n + kTileRows - 1) / kTileRows * kTileBytes;
  for (int64_t done = 0; done < n;) {
    const int64_t row = (first + done) / args.pixels, pixel = (first + done) % args.pixels;
    const int64_t run = args.pixels - pixel < n - done ? args.pixels - pixel : n - done, step = args.a_pixel;
    const uint8_t* const from = a + row * args.a_row + pixel * step;
    uint8_t* chunk = to + done * kTileRowBytes;
    int64_t e = 0;
    for (; e + kChunkEntries <= args.entries; e += kChunkEntries, chunk += chunk_bytes) {
      const uint8_t *const a0 = from + args.offsets[e], *const a1 = from + args.offsets[e + 1];
      const uint8_t *const a2 = from + args.offsets[e + 2], *const a3 = from + args.offsets[e + 3];
      for (int64_t i = 0; i < run; ++i) {
        __m512i v = _mm512_castsi128_si512(_mm_loadu_si128(reinterpret_cast<const __m128i*>(a0 + i * step)));
        v = _mm512_inserti32x4(v, _mm_loadu_si128(reinterpret_cast<const __m128i*>(a1 + i * step)), 1);
        v = _mm512_inserti32x4(v, _mm_loadu_si128(reinterpret_cast<const __m128i*>(a2 + i * step)), 2);
        v = _mm512_inserti32x4(v, _mm_loadu_si128(reinterpret_cast<const __m128i*>(a3 + i * step)), 3);
        _mm512_store_si512(chunk + i * kTileRowBytes, v);
      }
    }
    for (int64_t i = 0; e < args.entries && i < run; ++i) {
      __m128i* const cell = reinterpret_cast<__m128i*>(chunk + i * kTileRowBytes);
      for (int64_t k = 0; k < kChunkEntries; ++k) {
        const bool is_there = e + k < args.entries;
        const uint8_t* const entry = from + i * step + (is_there ? args.offsets[e + k] : 0);
        _mm_store_si128(cell + k, is_there ? _mm_loadu_si128(reinterpret_cast<const __m128i*>(entry)) : __m128i{});
      }
    }
    done += run;
  }
  finish_stores(to);
}

// A tile of a: rows from `a` on, the first `skipped` of which do not count and the next n are pixels from `pixel` on.
struct PixelTile {
  const uint8_t* a;
  int64_t skipped, pixel, n;
};

// out[panel][kAtOnce pixels][16] of m x n tiles. `at(chunk)` is where a chunk of k is behind the first one, `step` the
// bytes between rows.
template <int m, int n, class At>
void multiply_tiles(const PixelTile* tiles, int64_t step, const At& at, const int8_t* b, int64_t panel_bytes,
                    int64_t chunks, int32_t* out) {
  const uint8_t *const a = tiles[0].a, *const below = tiles[m - 1].a;
  _tile_zero(0);
  if constexpr (n == 2) _tile_zero(1);
  if constexpr (m == 2) _tile_zero(2);
  if constexpr (m == 2 && n == 2) _tile_zero(3);
  for (int64_t chunk = 0; chunk < chunks; ++chunk, b += kTileBytes) {
    const int64_t k = at(chunk);
    _tile_loadd(4, a + k, step);
    _tile_loadd(6, b, kTileRowBytes);
    _tile_dpbusd(0, 4, 6);
    if constexpr (m == 2) {
      _tile_loadd(5, below + k, step);
      _tile_dpbusd(2, 5, 6);
    }
    if constexpr (n == 2) {
      _tile_loadd(7, b + panel_bytes, kTileRowBytes);
      _tile_dpbusd(1, 4, 7);
      if constexpr (m == 2) _tile_dpbusd(3, 5, 7);
    }
  }
  constexpr int64_t kSums = kTileRows * kQuantizedColumns;
  _tile_stored(0, out, kTileRowBytes);
  if constexpr (m == 2) _tile_stored(2, out + kSums, kTileRowBytes);
  if constexpr (n == 2) _tile_stored(1, out + 2 * kSums, kTileRowBytes);
  if constexpr (m == 2 && n == 2) _tile_stored(3, out + 3 * kSums, kTileRowBytes);
}

// Where an item is: pixels [first, first + n) of a group of an image.
struct TileItem {
  int64_t image, group, first, n;
};

// The item's pixels times panel p and, if is_pair, the one behind it. tile_from(i) is the tile that begins with the
// item's pixel i.
template <class TileFrom, class At>
void sums_of_panels(const QuantizedArgs& args, const TileItem& item, int64_t p, bool is_pair, int64_t step,
                    const TileFrom& tile_from, const At& at) {
  alignas(64) int32_t out[2 * kAtOnce * kQuantizedColumns];
  const int64_t panels = args.panels(), panel_bytes = args.entries * kQuantizedEntryBytes;
  const int64_t chunks = (args.entries + kChunkEntries - 1) / kChunkEntries;
  const int8_t* const b = args.b + (item.group * panels + p) * panel_bytes;
  const int64_t rest = args.all_columns - item.group * args.columns,
                columns = rest < args.columns ? rest : args.columns;
  const Finish finish[2] = {{args.finish, (item.group * panels + p) * kQuantizedColumns},
                            {args.finish, (item.group * panels + p + (is_pair ? 1 : 0)) * kQuantizedColumns}};
  const int64_t sums_at = (item.image * args.groups + item.group) * args.rows * args.pixels;
  const auto finish_tile = [&](const PixelTile& tile, int64_t n, const int32_t* sums) {
    for (int64_t j = 0; j < (is_pair ? 2 : 1); ++j) {
      const int64_t left = columns - (p + j) * kQuantizedColumns;
      const PanelSums of = {sums + (j * kAtOnce + tile.skipped) * kQuantizedColumns,
                            args.finish.b_zeros ? args.a_sums + sums_at + tile.pixel : nullptr, kQuantizedColumns, n};
      const PanelPlace place = {
          item.image * args.y_image + (item.group * panels + p + j) * args.y_panel + tile.pixel * args.y_pixel,
          args.y_pixel, left < kQuantizedColumns ? left : kQuantizedColumns, args.is_blocked};
      finish[j].write(of, args.y, place);
    }
  };
  for (int64_t i = 0; i < item.n;) {
    PixelTile tiles[2] = {tile_from(i), {}};
    i += tiles[0].n;
    if (i == item.n) {
      (is_pair ? multiply_tiles<1, 2, At> : multiply_tiles<1, 1, At>)(tiles, step, at, b, panel_bytes, chunks, out);
      finish_tile(tiles[0], tiles[0].n, out);
      continue;
    }
    tiles[1] = tile_from(i);
    i += tiles[1].n;
    (is_pair ? multiply_tiles<2, 2, At> : multiply_tiles<2, 1, At>)(tiles, step, at, b, panel_bytes, chunks, out);
    if (tiles[0].n == kTileRows && tiles[1].skipped == 0) {
      finish_tile(tiles[0], kTileRows + tiles[1].n, out);
    } else {
      finish_tile(tiles[0], tiles[0].n, out);
      finish_tile(tiles[1], tiles[1].n, out + kTileRows * kQuantizedColumns);
    }
  }
}

// Pixels that lie in one row of a: those of an image, if its rows lie side by side.
int64_t pixels_of_row(const QuantizedArgs& args) {
  return args.a_row == args.pixels * args.a_pixel ? (args.rows - 1) * args.pixels + args.last_pixels : args.pixels;
}

// The tile from the item's pixel i on, read in place. It ends with its row, and begins earlier where it would reach
// behind that; a row that is shorter has room behind it.
PixelTile tile_in_place(const QuantizedArgs& args, const TileItem& item, const uint8_t* image, int64_t i) {
  const int64_t length = pixels_of_row(args), row = (item.first + i) / length, pixel = (item.first + i) % length;
  const int64_t left = length - pixel < item.n - i ? length - pixel : item.n - i;
  const int64_t latest = length > kTileRows ? length - kTileRows : 0, begin = pixel < latest ? pixel : latest;
  return {image + row * args.a_row + begin * args.a_pixel, pixel - begin, item.first + i,
          left < kTileRows - (pixel - begin) ? left : kTileRows - (pixel - begin)};
}

}  // namespace

void quantized_tiles(const QuantizedArgs& args, int64_t first, int64_t last, void* scratch) {
  const int64_t pixels = (args.rows - 1) * args.pixels + args.last_pixels, panels = args.panels();
  const int64_t blocks = (pixels + args.block - 1) / args.block, pairs = (panels + 1) / 2;
  uint8_t* const copy = static_cast<uint8_t*>(scratch);
  int64_t copied = -1;  // which pixels are in the scratch
  const TileScope scope;
  for (int64_t at = first; at < last; ++at) {
    const int64_t split = at % args.splits, place = at / args.splits, block = place % blocks;
    const int64_t group = place / blocks % args.groups, image = place / blocks / args.groups;
    const int64_t begin = block * args.block, left = pixels - begin;
    const TileItem item = {image, group, begin, left < args.block ? left : args.block};
    const uint8_t* const a = args.a + image * args.a_image + group * args.a_group;
    const int64_t *const offsets = args.offsets, chunk_bytes = (item.n + kTileRows - 1) / kTileRows * kTileBytes;
    const auto in_place = [&](int64_t i) { return tile_in_place(args, item, a, i); };
    const auto in_copy = [&](int64_t i) {
      return PixelTile{copy + i * kTileRowBytes, 0, begin + i, item.n - i < kTileRows ? item.n - i : kTileRows};
    };
    if (!args.is_direct && place != copied) copy_pixels(args, a, begin, item.n, copy);
    copied = place;
    for (int64_t pair = pairs * split / args.splits; pair < pairs * (split + 1) / args.splits; ++pair) {
      const bool is_pair = 2 * pair + 1 < panels;
      if (args.is_direct) {
        sums_of_panels(args, item, 2 * pair, is_pair, args.a_pixel, in_place,
                       [=](int64_t chunk) { return offsets[chunk * kChunkEntries]; });
      } else {
        sums_of_panels(args, item, 2 * pair, is_pair, kTileRowBytes, in_copy,
                       [=](int64_t chunk) { return chunk * chunk_bytes; });
      }
    }
  }
}

}  // namespace DT_ISA

#endif
