// SPDX-License-Identifier: Apache-2.0
#include "api.hpp"

#include <dlfcn.h>
#include <fenv.h>

#include <cstdlib>
#include <string>

namespace onednn {
namespace {

// Beside this library's own path, the folder of libraries of the environment it is installed in is searched: its
// RUNPATH in csrc/cmake/onednn.cmake.
constexpr char kFile[] = "libdnnl.so.3";
constexpr char kVariable[] = "DOVETAIL_ONEDNN";  // another file, or another name for the loader to find
constexpr int kMajor = 3, kLeastMinor = 2;

struct Library {
  Api api;
  std::string trouble;  // why it is not used

  Library() {
    const char* given = std::getenv(kVariable);
    const std::string file = given && *given ? given : kFile;
    const std::string why = open(file.c_str());
    if (why.empty()) return;
    trouble = "oneDNN is not used: " + why;
    dovetail::log(DT_LOG_WARNING, trouble.c_str());
  }

  std::string open(const char* file) {
    fenv_t floats;  // a constructor may change how floats are rounded
    fegetenv(&floats);
    void* const handle = ::dlopen(file, RTLD_NOW | RTLD_LOCAL);
    fesetenv(&floats);
    if (!handle) return ::dlerror();
    const auto in_file = [file](const std::string& text) { return std::string(file) + " " + text; };
#define ONEDNN_FIND(name, result, parameters)                                        \
  api.name = reinterpret_cast<result(*) parameters>(::dlsym(handle, "dnnl_" #name)); \
  if (std::string(#name) == "version" && api.version) {                              \
    const std::string trouble_with_it = refused(*api.version());                     \
    if (!trouble_with_it.empty()) return in_file(trouble_with_it);                   \
  }                                                                                  \
  if (!api.name) return in_file("has no function dnnl_" #name);
    ONEDNN_FUNCTIONS(ONEDNN_FIND)
#undef ONEDNN_FIND
    if (api.version()->cpu_runtime == kOpenMp) {
      api.omp_get_max_threads = reinterpret_cast<int (*)()>(::dlsym(handle, "omp_get_max_threads"));
      api.omp_set_num_threads = reinterpret_cast<void (*)(int)>(::dlsym(handle, "omp_set_num_threads"));
      if (!api.omp_get_max_threads || !api.omp_set_num_threads)
        return in_file("is built for OpenMP, and has none of its functions");
    }
    if (api.engine_create(&api.engine, kCpuEngine, 0) != 0) return in_file("makes no engine for the CPU");
    return "";
  }

  static std::string refused(const Version& version) {
    const auto text = [](int number) { return std::to_string(number); };
    const std::string least = text(kMajor) + "." + text(kLeastMinor);
    if (version.major != kMajor || version.minor < kLeastMinor) {
      return "is version " + text(version.major) + "." + text(version.minor) + "." + text(version.patch) +
             ", and the rows are written for " + least + " or a later one of " + text(kMajor);
    }
    // Other runtimes have threads that cannot be kept to one from outside.
    if (version.cpu_runtime == kSequential || version.cpu_runtime == kOpenMp) return "";
    return "is built neither for one thread nor for OpenMP: install the package onednn-cpu-gomp";
  }
};

const Library& library() {
  static const Library* const instance = new Library;  // lives as long as the code that it opened
  return *instance;
}

}  // namespace

const Api* opened() { return library().trouble.empty() ? &library().api : nullptr; }
const char* why_closed() { return library().trouble.c_str(); }

const Api& api() {
  const Api* const found = opened();
  if (!found) dovetail::fail(DT_UNSUPPORTED, "%s", why_closed());
  return *found;
}

void expect_done(int status, const char* function) {
  if (status != 0) dovetail::fail(DT_PLUGIN_FAILED, "dnnl_%s of oneDNN returned %d", function, status);
}

}  // namespace onednn
