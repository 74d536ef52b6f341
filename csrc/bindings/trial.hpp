// SPDX-License-Identifier: Apache-2.0
// Runs and times kernels repeatedly outside of an engine.
#ifndef DOVETAIL_BINDINGS_TRIAL_HPP
#define DOVETAIL_BINDINGS_TRIAL_HPP

#include <memory>
#include <vector>

#include "bindings/cache_state.hpp"
#include "bindings/guarded.hpp"
#include "bindings/native.hpp"

namespace dovetail {

// A step outside of an engine, made ready: in a context of its own, on copies of its buffers between red zones if it is
// `guarded`. Inputs are (desc, buffer) pairs or None, outputs pairs; `packed` is what prepare emitted or None; 0
// threads: as many as the runtime takes by itself. Not for several threads at once.
class Trial {
 public:
  Trial(const NativeImplementation& self, const ObjectPointer& object, int32_t row, const py::sequence& inputs,
        const py::sequence& outputs, const py::object& packed, uint64_t workspace_bytes, int32_t n_threads,
        bool guarded, const py::object& epilogue, size_t n_operands);
  ~Trial();
  Trial(const Trial&) = delete;
  Trial& operator=(const Trial&) = delete;

  // Nanoseconds of each of `repeat` runs; `before` each of them, if it is not null, the caches are prepared.
  std::vector<int64_t> run(int32_t repeat, const CacheState* before);
  // Returns the outputs. If it is guarded, throws Failure if the kernel wrote outside of an output or into an input.
  void settle();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace dovetail

#endif
