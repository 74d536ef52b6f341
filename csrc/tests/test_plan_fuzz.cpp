// SPDX-License-Identifier: Apache-2.0
// Damaged and hostile plans: test_plan_fuzz [--variants N] [--library L]... LIBRARY PLAN... loads thousands of variants
// of each plan and runs those that load, on buffers that end where the tensors do, and as users do: with no address
// set, and with output allocators. Each must run or be refused with a sentence; none may crash or take more memory than
// a multiple of its size.
#include <sys/resource.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <memory>
#include <nlohmann/json.hpp>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "check.hpp"
#include "exact_memory.hpp"
#include "plans.hpp"
#include "runtime/context.hpp"

using namespace dovetail;
using nlohmann::json;
using tests::Buffer;
using tests::exact_buffer;
using tests::join;
using tests::kAlign;
using tests::Parts;
using tests::split;

namespace {

constexpr uint64_t kMaxRunBytes = 1 << 19;  // of all buffers of a run: what is larger loads, but takes long to compute
int n_loaded = 0, n_refused = 0, n_ran = 0;
std::vector<std::string> row_names, implementation_ids;  // what the library has

// What a person does about a loop that goes on and on. Asked after a tenth of a second.
constexpr const char* kInterrupted = "interrupted";
void interrupt() { throw Failure{DT_UNSUPPORTED, kInterrupted}; }

void expect_sentence(const Failure& failure) {
  EXPECT(!failure.message.empty());
  EXPECT(failure.code != DT_OK && failure.code != DT_INTERNAL);
}

// Shape inputs get contents of the profile, which the context reads before anything else.
void set_contents(Context& context, const PlanProfile& profile, std::vector<Buffer>* buffers) {
  const Plan& plan = context.engine().plan();
  for (size_t i = 0; i < plan.inputs.size(); ++i) {
    if (!plan.is_shape_input(i)) continue;
    const bool is_wide = plan.tensors[static_cast<size_t>(plan.inputs[i])].data_type == DT_TYPE_INT64;
    const std::vector<int64_t>& contents = profile.opt.contents[i];
    const size_t bytes = contents.size() * (is_wide ? sizeof(int64_t) : sizeof(int32_t));
    Buffer& buffer = buffers->emplace_back(exact_buffer(bytes, 16));
    for (size_t k = 0; k < contents.size(); ++k) {
      const auto narrow = static_cast<int32_t>(contents[k]);
      if (is_wide)
        std::memcpy(buffer.get() + k * sizeof(int64_t), &contents[k], sizeof(int64_t));
      else
        std::memcpy(buffer.get() + k * sizeof(int32_t), &narrow, sizeof(int32_t));
    }
    context.set_address(i, buffer.get(), bytes);
  }
}

// How a user hands over memory.
enum class Memory { kAddresses, kAllocators, kNothing };

// One execution with these extents, unless it would be large.
void run(Context& context, const std::vector<Dims>& dims, Memory how, std::mt19937& random) {
  const Plan& plan = context.engine().plan();
  const auto memory_of = [&random](uint64_t bytes, size_t align) {
    return tests::noise(bytes, align, random, kMaxRunBytes);
  };
  std::vector<Buffer> buffers;
  set_contents(context, plan.profiles[static_cast<size_t>(context.profile())], &buffers);
  for (size_t i = 0; i < plan.inputs.size(); ++i)
    context.set_input_shape(i, dims[i].data(), plan.tensors[static_cast<size_t>(plan.inputs[i])].rank);
  context.infer_shapes();
  uint64_t total = context.memory_bytes();
  for (size_t io = 0; io < plan.n_io(); ++io) {
    const uint64_t bytes = context.max_bytes(io);
    total = bytes > kMaxRunBytes ? bytes : total + bytes;
    if (total > kMaxRunBytes) return;
  }
  for (size_t io = 0; io < plan.n_io(); ++io) {
    const bool is_input = io < plan.inputs.size();
    if (is_input && plan.is_shape_input(io)) continue;
    context.set_address(io, nullptr);
    if (!is_input) context.set_output_allocator(io, {});
    if (how == Memory::kNothing) continue;
    const uint64_t bytes = context.max_bytes(io);
    if (how == Memory::kAllocators && !is_input) {
      Context::OutputAllocator allocator;
      allocator.allocate = [&](uint64_t n, uint64_t align) { return buffers.emplace_back(memory_of(n, align)).get(); };
      context.set_output_allocator(io, std::move(allocator));
      continue;
    }
    buffers.push_back(memory_of(bytes, 16));  // as those of a user's array
    const int32_t type = plan.tensors[static_cast<size_t>(plan.io_tensor(io))].data_type;
    const bool is_integer = type == DT_TYPE_INT32 || type == DT_TYPE_INT64;
    if (is_input && is_integer && bytes > 0 && bytes <= 8 && random() % 16 != 0) {  // perhaps it counts iterations
      std::memset(buffers.back().get(), 0, bytes);
      buffers.back().get()[0] = static_cast<uint8_t>(random() % 5);
    }
    context.set_address(io, buffers.back().get(), bytes);
  }
  const Buffer arena = memory_of(context.memory_bytes(), kAlign);
  context.set_memory(arena.get(), context.memory_bytes());
  ++n_ran;
  context.execute();
}

void run_profile(const std::shared_ptr<Engine>& engine, int index, std::mt19937& random) {
  const PlanProfile& profile = engine->plan().profiles[static_cast<size_t>(index)];
  if (engine->memory(index).cpu_bytes > kMaxRunBytes) return;
  Context context(engine, index, false);
  std::vector<Dims> between = profile.min.extents;
  for (size_t i = 0; i < between.size(); ++i)
    for (size_t axis = 0; axis < between[i].size(); ++axis)
      between[i][axis] += static_cast<int64_t>(
          random() % static_cast<uint64_t>(profile.max.extents[i][axis] - profile.min.extents[i][axis] + 1));
  for (const std::vector<Dims>& dims : {profile.opt.extents, profile.max.extents, between, profile.min.extents}) {
    for (Memory how : {Memory::kNothing, Memory::kAllocators, Memory::kAddresses}) {
      const bool is_likely = how == Memory::kAddresses || !engine->plan().sizes.empty();
      if (!is_likely && random() % 8 != 0) continue;
      try {
        run(context, dims, how, random);
      } catch (const Failure& failure) {
        expect_sentence(failure);
        if (failure.message == kInterrupted) return;
      }
    }
    if (profile.min.extents == profile.max.extents) break;
  }
}

// A file at an aligned address whose end is the end of its allocation, so that a sanitizer sees a read beyond it.
std::unique_ptr<Failure> load(const std::string& file) {
  std::mt19937 random(static_cast<uint32_t>(file.size()));
  const Buffer aligned = exact_buffer(file.size(), kAlign);
  std::memcpy(aligned.get(), file.data(), file.size());
  const FileBytes bytes{aligned.get(), file.size(), nullptr};
  try {
    const std::shared_ptr<Engine> engine = Engine::load(bytes, {.count = 1});
    for (size_t p = 0; p < engine->plan().profiles.size(); ++p) run_profile(engine, static_cast<int>(p), random);
    ++n_loaded;
    return nullptr;
  } catch (const Failure& failure) {
    expect_sentence(failure);
    ++n_refused;
    return std::make_unique<Failure>(failure);
  }
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

// A number that could stand there.
json likely_number(const json& present, std::mt19937& random) {
  const int64_t choices[] = {0,  1,  2,  3,  4,  5,  7,  8,  9,  15,  16,    17,        31, 32,
                             33, 48, 51, 53, 54, 57, 59, 60, 61, 100, 65536, INT32_MAX, -1};
  const int64_t value = present.is_number_integer() ? present.get<int64_t>() : 0;
  if (random() % 3 == 0) return static_cast<int64_t>(static_cast<uint64_t>(value) * 2);
  return choices[random() % std::size(choices)];
}

// Values replaced, removed, doubled or exchanged.
void mutate(json& node, const std::vector<json*>& nodes, std::mt19937& random) {
  switch (random() % 8) {
    case 0:
      node = hostile_value(random);
      break;
    case 1:
      node = likely_number(node, random);
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
    case 5:
      if (node.is_array() && !node.empty()) std::swap(node[random() % node.size()], node[random() % node.size()]);
      break;
    case 6:
      if (node.is_string()) {
        const auto& names = node.get<std::string>().find('#') == std::string::npos ? row_names : implementation_ids;
        if (!names.empty()) node = names[random() % names.size()];
        break;
      }
      [[fallthrough]];
    case 7: {
      const json other = *nodes[random() % nodes.size()];
      node = other;
      break;
    }
  }
}

// Anywhere in the document.
void mutate(json& document, std::mt19937& random) {
  std::vector<json*> nodes;
  collect(document, &nodes);
  mutate(*nodes[random() % nodes.size()], nodes, random);
}

// The steps of all blocks, as they are numbered.
void collect_steps(json& steps, std::vector<json*>* all) {
  for (json& step : steps) {
    all->push_back(&step);
    if (!step.contains("blocks")) continue;
    for (json& block : step["blocks"]) collect_steps(block["steps"], all);
  }
}

std::vector<json*> steps_of(json& plan) {
  std::vector<json*> all;
  collect_steps(plan.at("steps"), &all);
  return all;
}

// What kernels get to see: fields, extents, types, formats, rows; and what blocks take and leave.
void mutate_layers(json& plan, std::mt19937& random) {
  std::vector<json*> nodes;
  for (json* step : steps_of(plan)) {
    for (const char* key :
         {"fields", "inputs", "outputs", "row", "tactic", "implementation", "packed", "epilogue", "iterations"})
      if (step->contains(key)) collect((*step)[key], &nodes);
    if (!step->contains("blocks")) continue;
    for (json& block : (*step)["blocks"])
      for (const char* key : {"inputs", "outputs"}) collect(block[key], &nodes);
  }
  for (json& tensor : plan.at("tensors"))
    for (const char* key : {"dims", "dtype", "format", "constant"})
      if (tensor.contains(key)) collect(tensor[key], &nodes);
  collect(plan.at("programs"), &nodes);
  for (json& constant : plan.at("constants"))
    for (const char* key : {"step", "bytes"})
      if (constant.contains(key)) collect(constant[key], &nodes);
  json& node = *nodes[random() % nodes.size()];
  if (node.is_number() && random() % 2 == 0) {
    node = likely_number(node, random);
  } else {
    mutate(node, nodes, random);
  }
}

// An extent of an input in all the places where it stands: alone, each of them would be refused.
void resize_input(json& plan, std::mt19937& random) {
  if (plan.at("inputs").empty()) return;
  const size_t input = random() % plan["inputs"].size();
  json& dims = plan["tensors"][plan["inputs"][input].get<size_t>()]["dims"];
  if (dims.empty()) return;
  const size_t axis = random() % dims.size();
  const json extent = std::abs(likely_number(1, random).get<int64_t>());
  if (dims[axis].is_number()) dims[axis] = extent;
  for (json& profile : plan["profiles"])
    for (json& kind : profile["inputs"][input])
      if (dims[axis].is_number() || kind == profile["inputs"][input][2]) kind[axis] = extent;
}

// Does the program of an extent wait for what a layer tells?
std::vector<bool> find_late_programs(const json& plan) {
  std::vector<int> needed;
  for (const json& program : plan["programs"]) needed.push_back(needed_sizes(program.get<DimsProgram>(), needed));
  return {needed.begin(), needed.end()};
}

// What loops carry has to stay in the arena.
std::set<size_t> carried_tensors(json& plan) {
  std::set<size_t> carried;
  for (json* step : steps_of(plan)) {
    if (!step->contains("control") || (*step)["control"] != "loop") continue;
    for (const json& block : (*step)["blocks"])
      for (const char* key : {"inputs", "outputs"})
        for (const json& tensor : block[key]) carried.insert(tensor.get<size_t>());
  }
  return carried;
}

// Intermediate tensors as outputs: each then has a buffer of its own, beyond whose end a sanitizer sees an access.
// `late`: those, too, whose extents are known only when they are written, which must be refused.
json spread(json plan, bool late) {
  const std::vector<bool> is_late = find_late_programs(plan);
  const size_t n_steps = steps_of(plan).size();
  const std::set<size_t> carried = carried_tensors(plan);
  for (size_t t = 0; t < plan["tensors"].size(); ++t) {
    if (plan["tensors"][t]["where"] != "arena" || carried.count(t)) continue;
    const json& dims = plan["tensors"][t]["dims"];
    const bool waits = std::any_of(dims.begin(), dims.end(), [&](const json& extent) {
      return extent.is_object() && is_late.at(extent["program"].get<size_t>());
    });
    if (waits && !late) continue;
    plan["tensors"][t]["where"] = "output";
    plan["outputs"].push_back(t);
    for (json& profile : plan["profiles"]) profile["offsets"][t] = -1;
  }
  for (json& profile : plan["profiles"]) {
    int64_t most = 0;
    for (size_t i = 0; i < n_steps; ++i) {
      most = std::max(most, profile["workspace_bytes"][i].get<int64_t>());
      if (carried.empty()) profile["workspace"][i] = profile["workspace_bytes"][i] == 0 ? -1 : 0;
    }
    if (carried.empty()) profile["arena_bytes"] = most;
  }
  return plan;
}

// Gives y the extents that a refusal asks for, "layer 'L' ...: y is [1, 2], not [1, 3]": so odd fields and extents get
// as far as the kernels. False if it asks for nothing.
bool follow(json& plan, const Failure& refusal) {
  const std::string& text = refusal.facts.empty() ? refusal.message : refusal.facts[0].second;
  const size_t name = refusal.message.find('\''), end = refusal.message.find('\'', name + 1),
               at = text.find("], not [");
  if (text.rfind("y is [", 0) != 0 || end == std::string::npos || at == std::string::npos) return false;
  const json wanted = json::parse(text.substr(text.find('[', at)));
  for (const json* at : steps_of(plan)) {
    const json& step = *at;
    if (step["layer"] != refusal.message.substr(name + 1, end - name - 1) || step["outputs"].empty()) continue;
    json& dims = plan["tensors"][step["outputs"][0].get<size_t>()]["dims"];
    if (dims == wanted) return false;
    dims = wanted;
    return true;
  }
  return false;
}

std::unique_ptr<Failure> load_document(const Parts& parts, const json& document) {
  json header = parts.header;
  header["__metadata__"]["plan"] = document.dump(-1, ' ', false, json::error_handler_t::replace);
  return load(join(header, parts.data));
}

void fuzz(const std::string& file, int n_variants, uint32_t seed) {
  std::mt19937 random(seed);
  load(file);
  EXPECT_EQ(n_loaded, 1);
  EXPECT(n_ran > 0);
  const Parts parts = split(file);

  const auto share = [n_variants](int of_1500) { return n_variants * of_1500 / 1500; };
  const size_t step = std::max(size_t{61}, file.size() / static_cast<size_t>(n_variants + 1));
  for (size_t n = 0; n < file.size(); n += n < 256 ? 1 : step) load(file.substr(0, n));
  for (size_t n : {size_t{1}, size_t{63}, size_t{64}, size_t{1000}}) load(file + std::string(n, '\0'));
  EXPECT_EQ(n_loaded, 1);
  for (int i = 0; i < share(2000); ++i) {
    std::string flipped = file;
    flipped[random() % file.size()] ^= static_cast<char>(1 << random() % 8);
    load(flipped);
  }
  EXPECT_EQ(n_loaded, 1);  // the checksum sees each of them
  for (int i = 0; i < share(500); ++i) {
    std::string noise(random() % 600, '\0');
    for (char& c : noise) c = static_cast<char>(random());
    if (i % 2 && noise.size() > 16) {
      const uint64_t n = i % 4 == 1 ? 56 : random();
      std::memcpy(noise.data(), &n, sizeof n);
    }
    load(noise);
  }
  EXPECT_EQ(n_loaded, 1);

  json plan = json::parse(parts.header["__metadata__"]["plan"].get<std::string>());
  plan.erase("report");
  const json wide = spread(plan, false), widest = spread(plan, true);
  load_document(parts, widest);
  for (int i = 0; i < n_variants; ++i) {
    json changed = i % 4 == 0 ? plan : i % 16 == 1 ? widest : wide;
    if (random() % 8 == 0) resize_input(changed, random);
    const bool anywhere = i % 4 < 2;
    for (uint32_t k = random() % 3; k < 3; k += anywhere ? 1 : 2) {
      if (anywhere) {
        mutate(changed, random);
      } else {
        mutate_layers(changed, random);
      }
    }
    for (int attempt = 0; attempt < 10; ++attempt) {
      const auto refusal = load_document(parts, changed);
      if (!refusal || anywhere || !follow(changed, *refusal)) break;
    }
  }
  for (int i = 0; i < share(1000); ++i) {
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
  const std::shared_ptr<Library> library = tests::offer(path);
  for (uint32_t i = 0; i < library->plugin->n_implementations; ++i) {
    const dt_implementation& implementation = *library->plugin->implementations[i];
    implementation_ids.push_back(std::string(implementation.op) + "#" + implementation.name);
    for (uint32_t r = 0; r < implementation.n_rows; ++r)
      row_names.push_back(implementation.rows[r]->tactic ? implementation.rows[r]->tactic : "");
  }
}

}  // namespace

int main(int argc, char** argv) {
  int n_variants = 6000, first = 1;
  std::vector<const char*> libraries;
  for (; first + 1 < argc && argv[first][0] == '-'; first += 2) {
    if (std::strcmp(argv[first], "--variants") == 0) n_variants = std::atoi(argv[first + 1]);
    if (std::strcmp(argv[first], "--library") == 0) libraries.push_back(argv[first + 1]);
  }
  if (argc < first + 2) {
    std::fprintf(stderr, "usage: %s [--variants N] [--library L]... LIBRARY PLAN...\n", argv[0]);
    return 2;
  }
  set_log_sink([](int, const char*) {});
  interrupt_check = interrupt;
  // A size that comes out of a plan must never be allocated: the largest honest need here is a few MB. Sanitizers of
  // addresses and of threads map terabytes for themselves.
#if defined(__has_feature)
#if __has_feature(thread_sanitizer) || __has_feature(address_sanitizer)
#define DOVETAIL_MAPS_TERABYTES
#endif
#endif
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) && !defined(DOVETAIL_MAPS_TERABYTES)
  const rlimit limit{size_t{1} << 30, size_t{1} << 30};
  setrlimit(RLIMIT_AS, &limit);
#endif
  libraries.push_back(argv[first]);
  for (const char* library : libraries) offer(library);
  for (int i = first + 1; i < argc; ++i) {
    std::ifstream in(argv[i], std::ios::binary);
    const std::string file((std::istreambuf_iterator<char>(in)), {});
    n_loaded = n_refused = n_ran = 0;
    fuzz(file, n_variants, static_cast<uint32_t>(i));
    std::printf("%s: %d loaded, %d refused, %d runs\n", argv[i], n_loaded, n_refused, n_ran);
    std::fflush(stdout);
  }
  return tests::report("test_plan_fuzz");
}
