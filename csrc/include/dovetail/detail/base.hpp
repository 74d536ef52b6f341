// SPDX-License-Identifier: Apache-2.0
// Shared by both parts of plugin.hpp: hidden visibility, enums, errors, and the lists of what a library registers.
#ifndef DOVETAIL_DETAIL_BASE_HPP
#define DOVETAIL_DETAIL_BASE_HPP

#include <cxxabi.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <new>
#include <type_traits>
#include <typeinfo>

#include "dovetail/plugin.h"

// Everything is hidden even if the author forgets -fvisibility=hidden: all libraries of a process share an inline
// variable of default visibility (STB_GNU_UNIQUE), even with RTLD_LOCAL.
#define DOVETAIL_OPEN_NAMESPACE \
  namespace dovetail {          \
  inline namespace v1 __attribute__((visibility("hidden"))) {
#define DOVETAIL_CLOSE_NAMESPACE \
  }                              \
  }

// Kernels of one layer are compiled several times for different instruction sets, and the linker keeps only one copy of
// each inline function. Functions that kernels call must therefore always be inlined.
#define DOVETAIL_INLINE __attribute__((always_inline)) inline

DOVETAIL_OPEN_NAMESPACE

#define DT_K_ENTRY(name, value, ...) k##name = value,
#define DT_K_ENTRY2(name, value) k##name = value,
#define DT_K_ENTRY3(name, value, bytes) k##name = value,
enum class DataType : int32_t { DT_DATA_TYPES(DT_K_ENTRY) };
enum class TensorFormat : int32_t { DT_TENSOR_FORMATS(DT_K_ENTRY) };
enum class DimensionOperation : int32_t { DT_DIM_OPERATIONS(DT_K_ENTRY2) };
enum class PluginFieldType : int32_t { DT_FIELD_TYPES(DT_K_ENTRY3) };
#undef DT_K_ENTRY
#undef DT_K_ENTRY2
#undef DT_K_ENTRY3
using PluginFormat = TensorFormat;

// Bytes of one element.
constexpr int64_t size_of(DataType type) {
#define DT_SIZE_CASE(name, value, bits, ...) type == DataType::k##name ? bits / 8:
  return DT_DATA_TYPES(DT_SIZE_CASE) 0;
#undef DT_SIZE_CASE
}

// A failure: one of DT_CODES and a message, which is stored inside the object, so that throwing needs no std::string.
class Error : public std::exception {
 public:
  DOVETAIL_INLINE explicit Error(dt_code code, const char* text, const char* file = __builtin_FILE(),
                                 int line = __builtin_LINE())
      : code_(code), file_(file), line_(line) {
    std::snprintf(text_, sizeof text_, "%s", text ? text : "");
  }
  DOVETAIL_INLINE Error(const Error& other)
      : std::exception(other), code_(other.code_), file_(other.file_), line_(other.line_) {
    std::snprintf(text_, sizeof text_, "%s", other.text_);
  }
  Error& operator=(const Error&) = delete;
  const char* what() const noexcept override { return text_; }
  DOVETAIL_INLINE dt_code code() const { return code_; }
  DOVETAIL_INLINE const char* file() const { return file_; }
  DOVETAIL_INLINE int line() const { return line_; }

 private:
  dt_code code_;
  const char* file_;
  int line_;
  char text_[496];
};

// A format string and its place in the source.
struct Format {
  const char* text;
  const char* file;
  int line;
  DOVETAIL_INLINE Format(const char* format, const char* at = __builtin_FILE(), int in_line = __builtin_LINE())
      : text(format), file(at), line(in_line) {}
};

// Throws Error with a message formatted as by printf: fail(DT_SHAPE, "axis %d of rank %d", axis, rank).
template <class... Args>
[[noreturn]] DOVETAIL_INLINE void fail(dt_code code, Format format, Args... args) {
  char text[480];
  if constexpr (sizeof...(args) == 0) {
    std::snprintf(text, sizeof text, "%s", format.text);
  } else {
    std::snprintf(text, sizeof text, format.text, args...);
  }
  throw Error(code, text, format.file, format.line);
}

// A format string of this header, whose line is of no use to the author of the plugin.
DOVETAIL_INLINE Format nowhere(const char* format) { return Format(format, nullptr, 0); }

// Thrown from `fits`: this row cannot compute these tensors; the message says why.
template <class... Args>
[[noreturn]] DOVETAIL_INLINE void unsupported(Format format, Args... args) {
  fail(DT_UNSUPPORTED, format, args...);
}

namespace detail {

// The host of this library; null until the entry was called.
inline const dt_host* host = nullptr;

inline void raise(void* call, dt_code code, const char* kind, const char* message, const char* file,
                  int line) noexcept {
  if (host && DT_HAS(dt_host, host, raise)) host->raise(call, code, kind, message, file, line);
}

// "Softmax@1#cpu rows_avx2" or "acme::NMS@2 enqueue()", which precedes a message; empty: none.
struct Subject {
  char text[160];
  Subject() { text[0] = 0; }
  __attribute__((noinline, cold)) explicit Subject(const char* name) { std::snprintf(text, sizeof text, "%s", name); }
};

inline dt_code report(void* call, const Subject& subject, dt_code code, const char* kind, const char* message,
                      const char* file, int line) noexcept {
  char text[800];
  std::snprintf(text, sizeof text, "%s%s%s", subject.text, subject.text[0] ? ": " : "", message);
  raise(call, code, kind, text, file, line);
  return code;
}

// The name of an exception's class as its author writes it.
inline dt_code report_exception(void* call, const Subject& subject, const std::exception& error) noexcept {
#ifdef __GXX_RTTI
  int status = 0;
  char* name = abi::__cxa_demangle(typeid(error).name(), nullptr, nullptr, &status);
  char kind[160];
  std::snprintf(kind, sizeof kind, "%s", status == 0 && name ? name : typeid(error).name());
  std::free(name);
#else
  const char* kind = "std::exception";
#endif
  return report(call, subject, DT_PLUGIN_FAILED, kind, error.what(), nullptr, 0);
}

// Thrown if the host has already set the message of this call: only the code is returned.
struct HostRaised {
  dt_code code;
};

// Turns the exception being handled into a code and passes its text to the host. One function for all trampolines:
// handlers in each of a library's many rows would take long to compile.
__attribute__((noinline, cold)) inline dt_code report_caught(void* call, const Subject& subject) noexcept {
  try {
    throw;
  } catch (const Error& error) {
    return report(call, subject, error.code() == DT_OK ? DT_PLUGIN_FAILED : error.code(), "dovetail::Error",
                  error.what(), error.file(), error.line());
  } catch (const HostRaised& raised) {
    return raised.code;
  } catch (const std::bad_alloc&) {
    return report(call, subject, DT_OUT_OF_MEMORY, "std::bad_alloc", "out of memory", nullptr, 0);
  } catch (const std::exception& error) {
    return report_exception(call, subject, error);
  } catch (...) {
    return report(call, subject, DT_PLUGIN_FAILED, "unknown", "threw something that is not a std::exception", nullptr,
                  0);
  }
}

// Runs `body` at the boundary: what it throws becomes a code. `name` is the text of the Subject, or writes it.
template <class Name, class Body>
dt_code guard(void* call, Name name, Body body) noexcept {
  try {
    body();
    return DT_OK;
  } catch (...) {
    Subject subject;
    name(subject);
    return report_caught(call, subject);
  }
}
template <class Body>
dt_code guard(void* call, const char* name, Body body) noexcept {
  try {
    body();
    return DT_OK;
  } catch (...) {
    return report_caught(call, Subject(name));
  }
}

// ---- what a library registers: lists filled by static objects, read by the entry

template <class Table>
struct Listed {
  const Table* table;
  Listed* next;
};

template <class Table>
struct List {
  Listed<Table>* first = nullptr;

  // Kept sorted, so that nothing depends on the order of object files on the linker's command line.
  template <class Before>
  void add(Listed<Table>* item, Before before) {
    Listed<Table>** place = &first;
    while (*place && !before(*item->table, *(*place)->table)) place = &(*place)->next;
    item->next = *place;
    *place = item;
  }
  const Table* const* array(uint32_t* n) const {
    *n = 0;
    for (const Listed<Table>* item = first; item; item = item->next) ++*n;
    const Table** tables = new const Table*[*n + 1]();
    uint32_t i = 0;
    for (const Listed<Table>* item = first; item; item = item->next) tables[i++] = item->table;
    return tables;
  }
};

inline List<dt_op> ops;
inline List<dt_implementation> implementations;

inline bool op_before(const dt_op& a, const dt_op& b) {
  const int names = std::strcmp(a.name, b.name);
  return names ? names < 0 : std::strcmp(a.version, b.version) < 0;
}
inline bool implementation_before(const dt_implementation& a, const dt_implementation& b) {
  const int names = std::strcmp(a.op, b.op);
  return names ? names < 0 : std::strcmp(a.name, b.name) < 0;
}

// Adds a table that was written by hand to the list.
struct ListOp {
  Listed<dt_op> item;
  explicit ListOp(const dt_op& op) : item{&op, nullptr} { ops.add(&item, op_before); }
};
struct ListImplementation {
  Listed<dt_implementation> item;
  explicit ListImplementation(const dt_implementation& implementation) : item{&implementation, nullptr} {
    implementations.add(&item, implementation_before);
  }
};

}  // namespace detail

// A line for the user's logger.
inline void log(int32_t level, const char* message) {
  if (detail::host && DT_HAS(dt_host, detail::host, log)) detail::host->log(nullptr, level, message);
}

DOVETAIL_CLOSE_NAMESPACE

// Defined by DOVETAIL_LIBRARY, and hidden: if no source file of a library has that line, linking fails with this name
// instead of making a file that no host can open.
extern "C" __attribute__((visibility("hidden"))) const char one_source_file_must_say_DOVETAIL_LIBRARY;
#define DOVETAIL_NEEDS_LIBRARY                                                                \
  __attribute__((used)) static const char* const DOVETAIL_JOIN(dovetail_library_, __LINE__) = \
      &one_source_file_must_say_DOVETAIL_LIBRARY;

#define DOVETAIL_JOIN_(a, b) a##b
#define DOVETAIL_JOIN(a, b) DOVETAIL_JOIN_(a, b)
#define DOVETAIL_TEXT_(x) #x
#define DOVETAIL_TEXT(x) DOVETAIL_TEXT_(x)

#endif
