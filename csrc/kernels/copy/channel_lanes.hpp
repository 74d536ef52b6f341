// SPDX-License-Identifier: Apache-2.0
// A tensor in blocks of 16 channels (CHW16) whose channels are those of other such tensors, in any order: for layers that
// join or cut channels without regard to blocks. For rows files.
#ifndef DOVETAIL_KERNELS_COPY_CHANNEL_LANES_HPP
#define DOVETAIL_KERNELS_COPY_CHANNEL_LANES_HPP

#include <vector>

#include "kernels/copy/lanes_args.hpp"
#include "kernels/layout/format.hpp"

DOVETAIL_OPEN_NAMESPACE

// What a row knows of a context with these extents: where the lanes of each block come from.
class ChannelLanes {
 public:
  using Copy = void (*)(const LaneBlock& block, int64_t first, int64_t last);
  struct Place {
    int input;
    int64_t channel;
  };

  ChannelLanes() = default;

  // place_of(c) is where channel c of y comes from. The inputs have the extents of y but for the channels.
  template <class PlaceOf>
  ChannelLanes(const Descs& inputs, const Desc& y, int n_threads, const PlaceOf& place_of) : y_(view_of(y)) {
    if (y_.stored() == 0) return;
    for (int64_t block = 0; block < n_blocks(); ++block) {
      first_.push_back(sources_.size());
      for (int lane = 0; lane < kLanesOfBlock && block * kLanesOfBlock + lane < y_.channels; ++lane)
        take(place_of(block * kLanesOfBlock + lane), lane, inputs);
    }
    first_.push_back(sources_.size());
    n_pieces_ = (y_.inner + kPositions - 1) / kPositions;
    const double work = static_cast<double>(y_.inner / n_pieces_ * kLanesOfBlock);
    items_ = cut(y_.outer * n_pieces_ * n_blocks(), work, 1, n_threads);
  }

  void run(const Run& run, Copy copy) const {
    float* const y = run.output(0).data<float>();
    run_pieces(run, items_, [&](int64_t first, int64_t last) {
      for (int64_t item = first; item < last; ++item) {  // images, pieces, blocks
        const int64_t block = item % n_blocks(), piece = item / n_blocks() % n_pieces_;
        const int64_t image = item / n_blocks() / n_pieces_, end = (piece + 1) * kPositions;
        LaneBlock made;
        made.to = y + (image * n_blocks() + block) * y_.inner * kLanesOfBlock;
        made.n_sources = 0;
        for (size_t s = first_[block]; s < first_[block + 1]; ++s) {
          const Source& from = sources_[s];
          made.sources[made.n_sources] = from.lanes;
          made.sources[made.n_sources++].from =
              run.input(from.input).data<const float>() + image * from.image_step + from.offset;
        }
        copy(made, piece * kPositions, end < y_.inner ? end : y_.inner);
      }
    });
  }

 private:
  static constexpr int64_t kPositions = 256;  // of a piece: 16 KiB
  struct Source {
    int input;
    int64_t image_step, offset;  // between its images; of the block in an image
    LaneSource lanes;            // without the address
  };

  int64_t n_blocks() const { return y_.padded / kLanesOfBlock; }
  void take(const Place& place, int lane, const Descs& inputs) {
    const int64_t offset = place.channel / kLanesOfBlock * y_.inner * kLanesOfBlock;
    size_t s = first_.back();
    while (s < sources_.size() && (sources_[s].input != place.input || sources_[s].offset != offset)) ++s;
    if (s == sources_.size()) {
      Source source = {place.input, view_of(inputs[place.input]).padded * y_.inner, offset, {}};
      for (int32_t& none : source.lanes.lane) none = -1;
      sources_.push_back(source);
    }
    sources_[s].lanes.lane[lane] = static_cast<int32_t>(place.channel % kLanesOfBlock);
  }

  FormatView y_;
  std::vector<Source> sources_;
  std::vector<size_t> first_;  // source of each block, and their number
  int64_t n_pieces_ = 0;       // that the positions of an image are cut into
  Pieces items_;
};

DOVETAIL_CLOSE_NAMESPACE

#endif
