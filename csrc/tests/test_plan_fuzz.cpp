// SPDX-License-Identifier: Apache-2.0
// Damaged and hostile plans: test_plan_fuzz LIBRARY PLAN... loads thousands of variants of each plan. Each must load or
// be refused with a sentence; none may crash or take more memory than a multiple of its size.
#include <sys/resource.h>

#include <cstdio>
#include <cstring>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <random>
#include <string>

#include "check.hpp"
#include "runtime/checksum.hpp"
#include "runtime/context.hpp"

using namespace dovetail;
using nlohmann::json;

namespace {

constexpr size_t kAlign = 64;
int n_loaded = 0, n_refused = 0;

// A file at an aligned address whose end is the end of its allocation, so that a sanitizer sees a read beyond it.
void load(const std::string& file) {
  const FileBytes bytes{reinterpret_cast<const uint8_t*>(file.data()), file.size(), nullptr};
  try {
    const std::shared_ptr<Engine> engine = Engine::load(bytes, 1);
    for (size_t p = 0; p < engine->plan().profiles.size(); ++p) {
      if (engine->memory(static_cast<int>(p)).cpu_bytes > (1 << 24)) continue;
      Context context(engine, static_cast<int>(p));
      const Plan& plan = engine->plan();
      for (size_t i = 0; i < plan.inputs.size(); ++i)
        context.set_input_shape(i, plan.profiles[p].opt[i].data(),
                                plan.tensors[static_cast<size_t>(plan.inputs[i])].rank);
      context.infer_shapes();
    }
    ++n_loaded;
  } catch (const Failure& failure) {
    EXPECT(!failure.message.empty());
    EXPECT(failure.code != DT_OK && failure.code != DT_INTERNAL);
    ++n_refused;
  }
}

struct Parts {
  json header;
  std::string data;
};

Parts split(const std::string& file) {
  uint64_t n = 0;
  std::memcpy(&n, file.data(), sizeof n);
  return {json::parse(file.substr(8, n)), file.substr(8 + n)};
}

// A file with these parts and the right checksum: only the contents can be refused.
std::string join(json header, const std::string& data) {
  header["__metadata__"]["checksum"] = std::string(kChecksumDigits, '0');
  std::string text = header.dump();
  text.append((kAlign - (8 + text.size()) % kAlign) % kAlign, ' ');
  uint64_t n = text.size();
  std::string file(8, '\0');
  std::memcpy(file.data(), &n, sizeof n);
  file += text + data;
  const std::string key = "\"checksum\":\"";
  file.replace(file.find(key) + key.size(), kChecksumDigits, hex_digits(checksum(file.data(), file.size())));
  return file;
}

void collect(json& node, std::vector<json*>* nodes) {
  nodes->push_back(&node);
  if (node.is_structured())
    for (json& child : node) collect(child, nodes);
}

json hostile_value(std::mt19937& random) {
  const json choices[] = {json(INT64_MAX),
                          json(INT64_MIN),
                          json(UINT64_MAX),
                          json(-1),
                          json(-2),
                          json(0),
                          json(1),
                          json(2),
                          json(63),
                          json(64),
                          json(1e308),
                          json(0.5),
                          json(int64_t{1} << 31),
                          json(int64_t{1} << 32),
                          json(int64_t{1} << 47),
                          json(nullptr),
                          json(true),
                          json(""),
                          json("constant"),
                          json("alias"),
                          json("arena"),
                          json("input"),
                          json(std::string(5000, 'x')),
                          json(std::string("a\0b", 3)),
                          json::array(),
                          json::array({1, 0, 0}),
                          json::array({0, INT64_MAX}),
                          json(std::vector<int>(5000, 16)),
                          json(std::vector<int>(20, 1)),
                          json::object(),
                          json::object({{"program", 0}}),
                          json::object({{"program", INT64_MAX}}),
                          json::object({{"constant", 1}, {"dtype", 0}, {"dims", json::array({4})}})};
  return choices[random() % std::size(choices)];
}

// Values replaced, removed, doubled or exchanged, anywhere in the document.
void mutate(json& document, std::mt19937& random) {
  std::vector<json*> nodes;
  collect(document, &nodes);
  json& node = *nodes[random() % nodes.size()];
  switch (random() % 6) {
    case 0:
    case 1:
      node = hostile_value(random);
      break;
    case 2:
      if (node.is_number_integer()) {
        node = static_cast<int64_t>(node.get<uint64_t>() + random() % 5 - 2);  // wraps around on purpose
        break;
      }
      [[fallthrough]];
    case 3:
      if (node.is_object() && !node.empty()) node.erase(std::next(node.begin(), random() % node.size()).key());
      if (node.is_array() && !node.empty()) node.erase(random() % node.size());
      break;
    case 4:
      if (node.is_array() && !node.empty()) node.push_back(json(node[random() % node.size()]));
      break;
    case 5: {
      const json other = *nodes[random() % nodes.size()];
      node = other;
      break;
    }
  }
}

void fuzz(const std::string& file, uint32_t seed) {
  std::mt19937 random(seed);
  load(file);
  EXPECT_EQ(n_loaded, 1);
  const Parts parts = split(file);

  for (size_t n = 0; n < file.size(); n += n < 256 ? 1 : 61) load(file.substr(0, n));
  for (size_t n : {size_t{1}, size_t{63}, size_t{64}, size_t{1000}}) load(file + std::string(n, '\0'));
  EXPECT_EQ(n_loaded, 1);
  for (int i = 0; i < 2000; ++i) {
    std::string flipped = file;
    flipped[random() % file.size()] ^= static_cast<char>(1 << random() % 8);
    load(flipped);
  }
  EXPECT_EQ(n_loaded, 1);  // the checksum sees each of them
  for (int i = 0; i < 500; ++i) {
    std::string noise(random() % 600, '\0');
    for (char& c : noise) c = static_cast<char>(random());
    if (i % 2 && noise.size() > 16) {
      const uint64_t n = i % 4 == 1 ? 56 : random();
      std::memcpy(noise.data(), &n, sizeof n);
    }
    load(noise);
  }
  EXPECT_EQ(n_loaded, 1);

  const json plan = json::parse(parts.header["__metadata__"]["plan"].get<std::string>());
  for (int i = 0; i < 6000; ++i) {
    json changed = plan;
    for (uint32_t k = random() % 3; k < 3; ++k) mutate(changed, random);
    json header = parts.header;
    header["__metadata__"]["plan"] = changed.dump(-1, ' ', false, json::error_handler_t::replace);
    load(join(header, parts.data));
  }
  for (int i = 0; i < 1000; ++i) {
    json header = parts.header;
    mutate(header, random);
    if (!header.is_object() || !header.contains("__metadata__") || !header["__metadata__"].is_object()) continue;
    load(join(header, parts.data));
  }
  for (const char* text : {"", "{", "[]", "null", "1e999", "{\"version\":[1,0]}"}) {
    json header = parts.header;
    header["__metadata__"]["plan"] = text;
    load(join(header, parts.data));
  }
  json header = parts.header;
  header["__metadata__"]["plan"] = std::string(1 << 20, '[');
  load(join(header, parts.data));
  header["__metadata__"]["plan"] = "{\"version\":" + std::string(1 << 20, '[') + std::string(1 << 20, ']') + "}";
  load(join(header, parts.data));
}

void offer(const std::string& path) {
  const std::shared_ptr<Library> library = open_library(path);
  for (uint32_t i = 0; i < library->plugin->n_implementations; ++i) {
    ImplementationEntry entry;
    entry.implementation = library->plugin->implementations[i];
    entry.id = std::string(entry.implementation->op) + "#" + entry.implementation->name;
    for (uint32_t o = 0; o < library->plugin->n_ops; ++o)
      if (op_id(*library->plugin, *library->plugin->ops[o]) == entry.implementation->op)
        entry.op = library->plugin->ops[o];
    register_implementation(entry);
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) {
    std::fprintf(stderr, "usage: %s LIBRARY PLAN...\n", argv[0]);
    return 2;
  }
  set_log_sink([](int, const char*) {});
  // A size that comes out of a plan must never be allocated: the largest honest need here is a few MB.
#if !defined(__SANITIZE_ADDRESS__)
  const rlimit limit{size_t{1} << 30, size_t{1} << 30};
  setrlimit(RLIMIT_AS, &limit);
#endif
  offer(argv[1]);
  for (int i = 2; i < argc; ++i) {
    std::ifstream in(argv[i], std::ios::binary);
    const std::string file((std::istreambuf_iterator<char>(in)), {});
    n_loaded = n_refused = 0;
    fuzz(file, static_cast<uint32_t>(i));
    std::printf("%s: %d loaded, %d refused\n", argv[i], n_loaded, n_refused);
  }
  return tests::report("test_plan_fuzz");
}
