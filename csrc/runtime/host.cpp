// SPDX-License-Identifier: Apache-2.0
#include "runtime/host.hpp"

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdio>
#include <cstring>
#include <mutex>
#include <new>
#include <stdexcept>
#include <utility>

#include "runtime/layout.hpp"

namespace dovetail {
namespace {

thread_local Call* null_call = nullptr;
std::atomic<LogSink> log_sink{nullptr};

// Several tasks of one layer may raise at once; calls are short-lived, so the locks are shared among them by address.
std::mutex& lock_of(const Call* call) {
  static std::mutex locks[16];
  return locks[(reinterpret_cast<uintptr_t>(call) >> 6) % 16];
}

std::string text_of(const char* text) { return text ? text : ""; }

void host_raise(void* handle, dt_code code, const char* kind, const char* message, const char* file, int32_t line) {
  Call* call = handle ? static_cast<Call*>(handle) : null_call;
  if (!call) return;
  try {
    std::lock_guard<std::mutex> guard(lock_of(call));
    call->raised = code;
    call->kind = text_of(kind);
    call->message = text_of(message);
    call->file = text_of(file);
    call->line = line;
    call->method.clear();
    call->origin.reset();
  } catch (const std::bad_alloc&) {
    call->raised = code;
  }
}

void default_sink(int level, const char* message) {
  static const char* const kNames[] = {"internal error", "error", "warning"};
  if (level >= 0 && level <= DT_LOG_WARNING) std::fprintf(stderr, "dovetail: %s: %s\n", kNames[level], message);
}

void host_log(void*, int32_t level, const char* message) {
  LogSink sink = log_sink.load();
  (sink ? sink : default_sink)(level, message ? message : "");
}

dt_code host_emit(void* handle, const void* bytes, uint64_t n) {
  Call* call = static_cast<Call*>(handle);
  if (!call || (n && !bytes)) return DT_INVALID_ARGUMENT;
  try {
    std::lock_guard<std::mutex> guard(lock_of(call));
    if (n) call->blob.append(static_cast<const char*>(bytes), n);
    return DT_OK;
  } catch (const std::exception&) {  // bad_alloc, length_error
    return DT_OUT_OF_MEMORY;
  }
}

void* host_alloc(void* handle, uint64_t n, uint64_t align) {
  Call* call = static_cast<Call*>(handle);
  if (align == 0) align = alignof(std::max_align_t);
  constexpr uint64_t kLargest = uint64_t{1} << 47;  // beyond any address space, and sums below cannot overflow
  if (!call || (align & (align - 1)) || n > kLargest || align > kLargest) return nullptr;
  try {
    const bool is_shared = call->shared && n == call->shared_bytes && align <= kAlignment;
    Memory memory = is_shared             ? call->shared->take(n, "a plugin")
                    : align <= kAlignment ? Memory(n, "a plugin")
                                          : Memory(n + align, "a plugin");
    void* result = reinterpret_cast<void*>(round_up(reinterpret_cast<uintptr_t>(memory.data()), align));
    std::lock_guard<std::mutex> guard(lock_of(call));
    call->allocations.push_back(std::move(memory));
    return result;
  } catch (const Failure&) {
    return nullptr;
  } catch (const std::bad_alloc&) {
    return nullptr;
  }
}

// Kept where it is the first that the call emits and lies in memory of its own; else it is copied.
dt_code host_give(void* handle, const void* bytes, uint64_t n) {
  Call* call = static_cast<Call*>(handle);
  if (!call || !bytes) return host_emit(handle, bytes, n);
  {
    std::lock_guard<std::mutex> guard(lock_of(call));
    const auto found = std::find_if(call->allocations.begin(), call->allocations.end(),
                                    [&](const Memory& memory) { return memory.data() == bytes; });
    if (found == call->allocations.end() || n > found->bytes()) return DT_INVALID_ARGUMENT;
    if (call->blob.empty() && !call->given.memory.data()) {
      call->given = {std::move(*found), n};
      call->allocations.erase(found);
      return DT_OK;
    }
  }
  return host_emit(handle, bytes, n);
}

// There are no extensions yet.
const void* host_extension(const char*) { return nullptr; }

const char* code_name(dt_code code) {
  switch (code) {
#define DT_CODE_NAME(name, value, error) \
  case value:                            \
    return #name;
    DT_CODES(DT_CODE_NAME)
#undef DT_CODE_NAME
  }
  return nullptr;
}

// The method that a V2 class failed in, as the wrapper of plugin.hpp says it: "NMS::initialize(): ..."; else "".
std::string v2_method(const std::string& message) {
  static const char* const kMethods[] = {"createPlugin",
                                         "deserializePlugin",
                                         "setPluginNamespace",
                                         "getNbOutputs",
                                         "getOutputDataType",
                                         "configurePlugin",
                                         "initialize",
                                         "getOutputDimensions",
                                         "getWorkspaceSize",
                                         "supportsFormatCombination",
                                         "attachToContext",
                                         "clone",
                                         "serialize",
                                         "getSerializationSize",
                                         "enqueue"};
  const size_t end = message.find("(): ");
  const size_t colons = end == std::string::npos ? end : message.rfind("::", end);
  if (colons == std::string::npos || message.find(' ') < end) return "";
  const std::string found = message.substr(colons + 2, end - colons - 2);
  for (const char* method : kMethods)
    if (found == method) return found;
  return "";
}

}  // namespace

const dt_host* host_table() {
  static const dt_host table = {DT_HDR(dt_host), "dovetail", DOVETAIL_VERSION, host_raise, host_log,
                                host_emit,       host_alloc, host_extension,   host_give};
  return &table;
}

NullCall::NullCall(Call* call) : previous_(null_call) { null_call = call; }
NullCall::~NullCall() { null_call = previous_; }

void set_log_sink(LogSink sink) { log_sink.store(sink); }
void log_line(int level, const std::string& text) { host_log(nullptr, level, text.c_str()); }

void Call::refuse(const std::string& why, const std::string& plugin, const char* method, const std::string& layer) {
  *this = Call();
  message = why;
  check(DT_PLUGIN_FAILED, plugin, method, layer);
  throw std::logic_error("unreachable");
}

std::string Call::emitted_text() {
  std::string text(reinterpret_cast<const char*>(given.data()), given.bytes);
  return given.bytes ? text + blob : std::move(blob);
}

Emitted Call::emitted() {
  if (blob.empty()) return std::move(given);
  Emitted all = {Memory(given.bytes + blob.size(), "what a plugin emitted"), given.bytes + blob.size()};
  std::copy(blob.begin(), blob.end(), std::copy_n(given.data(), given.bytes, all.memory.data()));
  return all;
}

void Call::check(dt_code code, const std::string& plugin, const char* asked, const std::string& layer) const {
  if (code == DT_OK) return;
  const char* name = code_name(code);
  // One function of the interface may call several methods of a class.
  const std::string own = method.empty() ? v2_method(message) : method;
  const std::string name_of_method = own.empty() ? asked : own;
  Failure failure;
  failure.code = name ? code : DT_PLUGIN_FAILED;
  failure.message = plugin + " failed in " + name_of_method;
  if (!layer.empty()) failure.message += " of layer '" + layer + "'";
  const std::string at = file.empty() ? "" : line > 0 ? file + ":" + std::to_string(line) : file;
  if (!message.empty()) {
    failure.facts.emplace_back(kind.empty() ? "reason" : kind, message);
  } else {
    failure.facts.emplace_back(
        "reason", "none given, it returned " + (name ? std::string(name) : "code " + std::to_string(code)));
  }
  if (!at.empty()) failure.facts.emplace_back("raised at", at);
  if (!name) failure.facts.emplace_back("code", std::to_string(code) + " is none of DT_CODES");
  failure.attributes = {{"plugin", plugin}, {"layer", layer},    {"method", name_of_method},
                        {"kind", kind},     {"reason", message}, {"native_file_line", at}};
  failure.origin = origin;
  throw failure;
}

}  // namespace dovetail
