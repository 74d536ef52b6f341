// SPDX-License-Identifier: Apache-2.0
#include "runtime/library.hpp"

#include <dlfcn.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>
#include <shared_mutex>
#include <stdexcept>
#include <tuple>
#include <vector>

#include "runtime/checksum.hpp"
#include "runtime/device.hpp"
#include "runtime/elf.hpp"
#include "runtime/float_mode.hpp"
#include "runtime/host.hpp"
#include "runtime/table_check.hpp"

namespace dovetail {
namespace {

using Facts = std::vector<std::pair<std::string, std::string>>;

constexpr const char* kUntouched = "None of its code has run.";
constexpr const char* kNotRegistered = "Nothing of this library was registered.";

std::string base_name(const std::string& path) { return path.substr(path.rfind('/') + 1); }

Failure refusal(const std::string& path, Facts facts, const std::string& hint) {
  constexpr size_t kMost = 12;  // lines that a person still reads
  if (facts.size() > kMost) {
    const size_t more = facts.size() - kMost;
    facts.resize(kMost);
    facts.emplace_back("", "and " + std::to_string(more) + " more");
  }
  facts.emplace_back("file", path);
  return Failure{DT_INCOMPATIBLE, base_name(path) + " was not opened", facts, hint, nullptr, {{"path", path}}};
}

// The file, mapped for reading.
class File {
 public:
  explicit File(const std::string& path) {
    const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);  // a FIFO would wait for its writer
    if (fd < 0 || ::fstat(fd, &stat_) != 0) {
      const int why = errno;
      if (fd >= 0) ::close(fd);
      throw refusal(path, {{"reason", why == ENOENT ? "there is no such file" : std::strerror(why)}}, kUntouched);
    }
    if (!S_ISREG(stat_.st_mode)) {
      ::close(fd);
      throw refusal(path, {{"contents", S_ISDIR(stat_.st_mode) ? "a folder, not a library" : "not a regular file"}},
                    kUntouched);
    }
    if (stat_.st_size > 0) bytes_ = ::mmap(nullptr, size(), PROT_READ, MAP_PRIVATE, fd, 0);
    ::close(fd);
    if (bytes_ == MAP_FAILED) throw refusal(path, {{"reason", std::strerror(errno)}}, kUntouched);
  }
  ~File() {
    if (bytes_) ::munmap(bytes_, size());
  }
  File(const File&) = delete;
  File& operator=(const File&) = delete;

  const unsigned char* bytes() const { return static_cast<const unsigned char*>(bytes_); }
  size_t size() const { return static_cast<size_t>(stat_.st_size); }
  const struct stat& stat() const { return stat_; }

 private:
  struct stat stat_ = {};
  void* bytes_ = nullptr;
};

std::string joined(const std::vector<std::string>& names, size_t most) {
  std::string text;
  for (size_t i = 0; i < names.size() && i < most; ++i) text += (i ? ", " : "") + names[i];
  if (names.size() > most) text += " and " + std::to_string(names.size() - most) + " more";
  return text.empty() ? "nothing" : text;
}

// Why a library that does not export our entry does not, as far as its symbols tell.
std::string entry_hint(const std::vector<std::string>& exports) {
  const std::string prefix = "dovetail_plugin_entry_v";
  for (const std::string& name : exports) {
    if (name.rfind(prefix, 0) == 0) {
      return "It is built for interface major " + name.substr(prefix.size()) + ", this host has major " +
             std::to_string(DT_ABI_MAJOR) + ": install the build for this dovetail, or another dovetail.";
    }
    if (name.find(DT_ENTRY_NAME) != std::string::npos)
      return "Declare the entry extern \"C\": it is exported with a C++ name.";
    if (name == "getPluginCreators" || name == "getCreators" || name == "initLibNvInferPlugins") {
      return "It is a binary for TensorRT: build its source against dovetail/compat instead.";
    }
  }
  return kUntouched;
}

void require_entry(const std::string& path, const std::vector<std::string>& exports) {
  if (std::find(exports.begin(), exports.end(), DT_ENTRY_NAME) != exports.end()) return;
  throw refusal(path, {{"entry", "this library has no dovetail v1 entry; it exports: " + joined(exports, 8)}},
                entry_hint(exports));
}

// What the text of dlerror means. It reads "<file>: <trouble>" for the file that has the trouble.
Failure dlopen_refusal(const std::string& path, const char* error) {
  const std::string text = error ? error : "no reason given";
  const auto part_before = [&](const char* mark) {
    const size_t at = text.find(mark);
    return at == std::string::npos ? std::string() : text.substr(0, at);
  };
  const std::string missing = part_before(": cannot open shared object file");
  if (!missing.empty() && missing != path) {
    return refusal(path, {{"needs", missing + ", which was not found"}},
                   "Install what brings " + missing + ", or add its folder to LD_LIBRARY_PATH.");
  }
  const char* const kUndefined = "undefined symbol: ";
  const size_t symbol = text.find(kUndefined);
  if (symbol != std::string::npos) {
    return refusal(path, {{"symbol", text.substr(symbol + std::strlen(kUndefined)) + " is defined nowhere"}},
                   "Link the library with the one that defines it.");
  }
  const size_t version = text.find(": version `");
  if (version != std::string::npos) {
    return refusal(path, {{"needs", text.substr(version + 2)}}, "Build it on an older system, or update this one.");
  }
  return refusal(path, {{"loader", text}}, kUntouched);
}

// Who is here. Libraries live until the process ends, and are not destroyed then either: plugins may outlive statics.
struct Registry {
  std::mutex loader_lock;
  std::map<std::tuple<dev_t, ino_t, int64_t, int64_t, off_t>, std::shared_ptr<Library>> by_file;
  std::map<std::string, std::shared_ptr<Library>> by_hash;
  std::map<void*, std::string> hash_by_handle;  // of refused ones too
  std::vector<std::string> opened;              // paths of the same

  std::shared_mutex table_lock;
  std::map<std::string, ImplementationEntry> implementations;
};

Registry& registry() {
  static Registry* const instance = new Registry;
  return *instance;
}

void* open_handle(const std::string& path, const std::string& hash) {
  const FloatMode mode;  // code linked with -ffast-math sets flush-to-zero when it is loaded
  void* handle = ::dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!handle) throw dlopen_refusal(path, ::dlerror());
  registry().opened.push_back(path);
  const auto [known, is_new] = registry().hash_by_handle.emplace(handle, hash);
  if (!is_new && known->second != hash) {
    throw refusal(path, {{"contents", "changed since this process opened the file; the old code is still in use"}},
                  "Give the new build another file name, or start a new process.");
  }
  return handle;
}

std::string raised_text(const Call& call) {
  if (call.message.empty()) return "without a reason";
  return (call.kind.empty() ? "" : call.kind + ": ") + call.message +
         (call.file.empty() ? "" : " (" + call.file + ":" + std::to_string(call.line) + ")");
}

// The boundary forbids exceptions. One that escapes all the same ends here and not in std::terminate.
template <typename Function>
auto without_exceptions(const std::string& path, const char* name, Function function) {
  std::string what;
  try {
    return function();
  } catch (const std::exception& error) {
    what = error.what();
  } catch (...) {
    what = "no std::exception";
  }
  throw refusal(path, {{name, "threw a C++ exception: " + what}}, kNotRegistered);
}

const dt_plugin* call_entry(const std::string& path, dt_plugin_entry entry) {
  const FloatMode mode;
  Call call;
  const dt_plugin* plugin = without_exceptions(path, "entry", [&] {
    NullCall sink(&call);
    return entry(host_table());
  });
  if (!plugin)
    throw refusal(path, {{"entry", "it will not work with this host: " + raised_text(call)}}, kNotRegistered);
  return plugin;
}

void call_open(const std::string& path, const dt_plugin& plugin) {
  if (!DT_HAS(dt_plugin, &plugin, open)) return;
  const FloatMode mode;
  Call call;
  const dt_code code = without_exceptions(path, "open", [&] { return plugin.open(&call); });
  if (code == DT_OK) return;
  throw refusal(path, {{"open", "returned code " + std::to_string(code) + ": " + raised_text(call)}}, kNotRegistered);
}

std::string real_path(const std::string& path) {
  std::unique_ptr<char, void (*)(void*)> resolved(::realpath(path.c_str(), nullptr), std::free);
  return resolved ? resolved.get() : path;
}

}  // namespace

std::shared_ptr<Library> open_library(const std::string& given_path) {
  if (given_path.find('\0') != std::string::npos)
    throw refusal(given_path.c_str(), {{"reason", "a zero byte ends its name"}}, kUntouched);
  Registry& here = registry();
  std::lock_guard<std::mutex> guard(here.loader_lock);
  const std::string path = real_path(given_path);
  const File file(path);
  const struct stat& stat = file.stat();
  const auto key = std::make_tuple(stat.st_dev, stat.st_ino, static_cast<int64_t>(stat.st_mtim.tv_sec),
                                   static_cast<int64_t>(stat.st_mtim.tv_nsec), stat.st_size);
  if (const auto known = here.by_file.find(key); known != here.by_file.end()) return known->second;
  const std::string hash = hex_digits(checksum(file.bytes(), file.size()));
  if (const auto known = here.by_hash.find(hash); known != here.by_hash.end()) {
    here.by_file[key] = known->second;
    return known->second;
  }

  ElfReport report = inspect_elf(file.bytes(), file.size());
  if (!report.problems.empty()) throw refusal(path, report.problems, kUntouched);
  if (report.has_symbols) require_entry(path, report.exports);
  void* handle = open_handle(path, hash);
  const auto entry = reinterpret_cast<dt_plugin_entry>(::dlsym(handle, DT_ENTRY_NAME));
  if (!entry) require_entry(path, {});

  auto library = std::make_shared<Library>();
  library->path = path;
  library->hash = hash;
  library->plugin = call_entry(path, entry);
  if (Facts wrong = check_tables(*library->plugin); !wrong.empty()) throw refusal(path, wrong, kNotRegistered);
  call_open(path, *library->plugin);
  if (DT_HAS(dt_plugin, library->plugin, extension)) {
    const void* const device = library->plugin->extension(DT_DEVICE_EXTENSION);
    Facts wrong = offer_device(static_cast<const dt_device_api*>(device), path);
    if (!wrong.empty()) throw refusal(path, wrong, kNotRegistered);
  }
  here.by_file[key] = library;
  here.by_hash[hash] = library;
  return library;
}

std::vector<std::string> opened_paths() {
  std::lock_guard<std::mutex> guard(registry().loader_lock);
  return registry().opened;
}

std::string op_id(const dt_plugin& plugin, const dt_op& op) {
  const char* space = op.namespace_ ? op.namespace_ : plugin.namespace_;
  const std::string prefix = space && *space ? std::string(space) + "::" : "";
  return prefix + (op.name ? op.name : "") + "@" + (op.version ? op.version : "");
}

// ---- implementations by id

namespace {

std::string home_of(const ImplementationEntry& entry) {
  std::string home = entry.plugin.empty() ? "a plugin without a name" : entry.plugin;
  if (!entry.plugin_version.empty()) home += " " + entry.plugin_version;
  return entry.library.empty() ? home : home + ", " + entry.library;
}

}  // namespace

void register_implementation(ImplementationEntry entry) {
  Registry& here = registry();
  std::unique_lock<std::shared_mutex> guard(here.table_lock);
  const auto known = here.implementations.find(entry.id);
  if (known != here.implementations.end() && known->second.implementation != entry.implementation) {
    throw Failure{DT_CONFLICT,
                  entry.id + " is there already",
                  {{"registered", home_of(known->second)}, {"refused", home_of(entry)}},
                  "Give the second one another name after the '#', or deregister the first.",
                  nullptr,
                  {{"implementation", entry.id}}};
  }
  // Swapped, so that what was there dies after the lock is gone: it may hold Python objects.
  const std::string id = entry.id;
  std::swap(here.implementations[id], entry);
}

bool deregister_implementation(const std::string& id) {
  Registry& here = registry();
  ImplementationEntry dropped;  // dies after the lock is gone, as above
  std::unique_lock<std::shared_mutex> guard(here.table_lock);
  const auto known = here.implementations.find(id);
  if (known == here.implementations.end()) return false;
  dropped = std::move(known->second);
  here.implementations.erase(known);
  guard.unlock();
  return true;
}

bool find_implementation(const std::string& id, ImplementationEntry* entry) {
  Registry& here = registry();
  std::shared_lock<std::shared_mutex> guard(here.table_lock);
  const auto known = here.implementations.find(id);
  if (known == here.implementations.end()) return false;
  *entry = known->second;
  return true;
}

}  // namespace dovetail
