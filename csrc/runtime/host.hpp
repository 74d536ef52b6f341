// SPDX-License-Identifier: Apache-2.0
// The host side of one call into a plugin (dt_host): the call's state, and its results.
#ifndef DOVETAIL_RUNTIME_HOST_HPP
#define DOVETAIL_RUNTIME_HOST_HPP

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "dovetail/plugin.h"
#include "runtime/memory.hpp"

namespace dovetail {

// A failure of the runtime or of a plugin: a code, a message, facts and a hint. Thrown inside the runtime; the C
// boundary turns it into a code, the bindings into an exception class.
struct Failure {
  dt_code code = DT_INTERNAL;
  std::string message{};
  std::vector<std::pair<std::string, std::string>> facts{};
  std::string hint{};
  std::shared_ptr<void> origin{};  // the Python exception behind it, kept for __cause__; null otherwise
  std::vector<std::pair<std::string, std::string>>
      attributes{};  // of the exception, beside code: plugin, layer, method ...
};

// The owners of the memory of a run. Needed for plugins written in Python, whose arrays may outlive the run.
class MemoryOwners {
 public:
  virtual ~MemoryOwners() = default;
  // The owner that keeps the memory at `data` alive; null if the user set a bare address.
  virtual std::shared_ptr<void> owner_of(const void* data) const = 0;
  // The plugin that was handed `run` still holds arrays of these ranges: they keep their contents from now on, because
  // everything that follows happens in other memory. Throws Failure where there is not enough.
  virtual void abandon(const dt_run* run, const std::vector<MemoryRange>& kept) = 0;
};

// What a call emitted, aligned to 64.
struct Emitted {
  Memory memory;
  uint64_t bytes = 0;  // of it

  const uint8_t* data() const { return memory.data(); }
};

// One call into a plugin: pass `this` as `call`. Collects what the plugin raises and emits, and owns what it allocates.
struct Call {
  dt_code raised = DT_OK;
  std::string kind, message, file;
  int line = 0;
  std::string method;               // the author's name of the method, if it differs from that of the function
  std::string blob;                 // the bytes passed to emit
  Emitted given;                    // in front of them: the memory passed to give, if that came first
  std::vector<Memory> allocations;  // what alloc handed out
  SharedMemory* shared = nullptr;   // null, or where alloc takes a piece of exactly shared_bytes from
  uint64_t shared_bytes = 0;
  std::shared_ptr<void> origin;
  MemoryOwners* owners = nullptr;             // of the tensors of a run; null if they are not known
  std::vector<std::vector<int64_t>> written;  // the dims that enqueue gave each output; empty where it does not say

  // Throws Failure if code is not 0: "<plugin> failed in <method> of layer '<layer>'" with the raised text, or with the
  // code alone where the plugin raised nothing.
  void check(dt_code code, const std::string& plugin, const char* method, const std::string& layer) const;
  // All that was emitted, in order. This ends the call.
  std::string emitted_text();
  Emitted emitted();
  // The same for an answer that cannot be: `why` is the reason.
  [[noreturn]] void refuse(const std::string& why, const std::string& plugin, const char* method,
                           const std::string& layer);
};

// The one host table of the process.
const dt_host* host_table();

// While it lives, what this thread raises on a null call is left in `call`: for the entry of a library.
class NullCall {
 public:
  explicit NullCall(Call* call);
  ~NullCall();
  NullCall(const NullCall&) = delete;
  NullCall& operator=(const NullCall&) = delete;

 private:
  Call* previous_;
};

// Receives dt_host.log lines and the runtime's own; default writes nothing below WARNING, to stderr.
using LogSink = void (*)(int level, const char* message);
void set_log_sink(LogSink sink);
void log_line(int level, const std::string& text);

// Instruction sets of this machine as 1 << DT_CPU_*, after DOVETAIL_FORCE_ISA=name limited them
// to those that the kernels of this instruction set need, one of DOVETAIL_ISAS.
uint64_t cpu_features();
// Their names, "avx2 fma f16c", in the order of the table; "" for none.
std::string feature_names(uint64_t features);

}  // namespace dovetail

#endif
