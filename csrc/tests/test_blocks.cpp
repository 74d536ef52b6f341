// SPDX-License-Identifier: Apache-2.0
// Plans whose steps own blocks, made by hand of the layers of tests/runtime/tiny_plugin.c: test_blocks LIBRARY.
// Each is run with extents that are known and with open ones, first carefully, then quickly. Then some on a device of
// host memory, which shows when the executor waits and for what.
#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "check.hpp"
#include "fake_device.hpp"
#include "plans.hpp"
#include "runtime/context.hpp"

using namespace dovetail;
using nlohmann::json;
using Floats = std::vector<float>;

namespace {

constexpr int64_t kRows = 4, kMostRows = 16, kRoom = 256;  // bytes; aligned as on a device

// A plan of vectors [rows]; tensor 0 is its first input. Every tensor of the arena has memory of its own.
class Draft {
 public:
  explicit Draft(bool is_open, int device = DT_DEVICE_CPU) : is_open_(is_open), device_(device) {
    plan_ = {{"version", {2, 1}},
             {"name", "by hand"},
             {"device", {{"type", "cpu"}, {"isa", json::array()}}},
             {"requires", json::array()},
             {"programs", {{1, 0, 0}}},
             {"constraints", json::array()},
             {"weights", json::array()},
             {"constants", json::array()},
             {"inputs", json::array()},
             {"outputs", json::array()}};
    if (device != DT_DEVICE_CPU) plan_["device"] = {{"type", "cuda"}, {"sm", 90}, {"isa", json::array()}};
  }

  int vector(const char* where, json more = json::object()) {
    return add(where, json::array({is_open_ ? json({{"program", 0}}) : json(kRows)}), DT_TYPE_FLOAT, std::move(more));
  }
  int number(const char* where, int type) { return add(where, json::array(), type, json::object()); }
  int number_on_host(const char* where, int type) {
    return add(where, json::array(), type, {{"device", static_cast<int>(DT_DEVICE_CPU)}});
  }
  int alias(int of) { return vector("alias", {{"alias_of", of}}); }

  json sum(int a, int b, int y) {
    return {{"layer", "sum " + std::to_string(y)},
            {"op", "tiny::Add@1"},
            {"implementation", device_ == DT_DEVICE_CPU ? "tiny::Add@1#c" : "tiny::Add@1#fake"},
            {"row", "plain"},
            {"device", device_},
            {"inputs", {a, b}},
            {"outputs", {y}}};
  }
  json decrement(int x, int y) {
    return {{"layer", "decrement"},
            {"op", "tests::Decrement@1"},
            {"implementation", "tests::Decrement@1#fake"},
            {"device", device_},
            {"inputs", {x}},
            {"outputs", {y}}};
  }
  // "there" or "back", on the stream.
  json copy(const char* row, int x, int y) {
    return {{"layer", "copy"}, {"op", "tests::Copy@1"}, {"implementation", "tests::Copy@1#fake"},
            {"row", row},      {"device", device_},     {"inputs", {x}},
            {"outputs", {y}}};
  }
  static json block(json inputs, json outputs, json steps) {
    return {{"inputs", std::move(inputs)}, {"outputs", std::move(outputs)}, {"steps", std::move(steps)}};
  }
  static json control(const char* kind, json inputs, json outputs, json blocks) {
    return {{"layer", kind},
            {"control", kind},
            {"inputs", std::move(inputs)},
            {"outputs", std::move(outputs)},
            {"blocks", std::move(blocks)}};
  }

  std::shared_ptr<Engine> engine(json steps, size_t n_steps) {
    plan_["steps"] = std::move(steps);
    json ranges = json::array();
    for (const json& input : plan_["inputs"]) {
      const bool is_number = plan_["tensors"][input.get<size_t>()]["dims"].empty();
      const auto rows = [&](int64_t n) { return is_number ? json::array() : json::array({is_open_ ? n : kRows}); };
      ranges.push_back({rows(1), rows(kRows), rows(kMostRows)});
    }
    json profile = {{"inputs", ranges}, {"arena_bytes", arena_}, {"cuda_arena_bytes", 0}, {"offsets", offsets_}};
    if (device_ != DT_DEVICE_CPU) profile["cuda_arena_bytes"] = arena_;
    profile["workspace"] = std::vector<int>(n_steps, -1);
    profile["workspace_bytes"] = std::vector<int>(n_steps, 0);
    plan_["profiles"] = json::array({profile});
    file_ = std::make_shared<std::string>(tests::file_of(plan_));
    const FileBytes bytes{reinterpret_cast<const uint8_t*>(file_->data()), file_->size(), file_};
    return Engine::load(bytes, {.count = 1});
  }

 private:
  int add(const std::string& where, json dims, int type, json more) {
    const auto index = static_cast<int>(offsets_.size());
    json tensor = {{"name", std::to_string(index)}, {"dtype", type}, {"format", 0}, {"device", device_}};
    tensor["dims"] = std::move(dims);
    tensor["where"] = where;
    tensor.update(more);
    plan_["tensors"].push_back(tensor);
    if (where == "input" || where == "output") plan_[where + "s"].push_back(index);
    offsets_.push_back(where == "arena" ? arena_ : -1);
    if (where == "arena") arena_ += kRoom;
    return index;
  }

  const bool is_open_;
  const int device_;
  json plan_;
  std::vector<int64_t> offsets_;
  int64_t arena_ = 0;
  std::shared_ptr<std::string> file_;
};

// The output, after a careful and a quick run; `numbers` are the contents of the inputs behind the first.
Floats run(Context& context, Floats x, std::vector<int64_t> numbers) {
  const int64_t rows = static_cast<int64_t>(x.size());
  Floats y(x.size(), -1);
  context.set_input_shape(0, &rows, 1);
  const uint64_t bytes = x.size() * sizeof(float);
  context.set_address(0, x.data(), bytes);
  for (size_t i = 0; i < numbers.size(); ++i) context.set_address(i + 1, &numbers[i], sizeof(int64_t));
  context.set_address(numbers.size() + 1, y.data(), bytes);
  for (int time = 0; time < 3; ++time) {
    std::fill(y.begin(), y.end(), -1.0f);
    context.execute();
  }
  return y;
}

Floats times(float factor, Floats x) {
  for (float& value : x) value *= factor;
  return x;
}

std::vector<Floats> inputs_for(bool is_open) {
  if (!is_open) return {{1, 2, 3, 4}};
  return {{5}, Floats(kMostRows, 2), {1, 2, 3}};
}

// y = x + x, or x + x + x.
void test_branches(bool is_open) {
  Draft draft(is_open);
  const int x = draft.vector("input"), condition = draft.number("input", DT_TYPE_BOOL), y = draft.vector("output");
  const int then = draft.alias(y), otherwise = draft.alias(y), twice = draft.vector("arena");
  const json blocks = {
      draft.block(json::array(), {then}, {draft.sum(x, x, then)}),
      draft.block(json::array(), {otherwise}, {draft.sum(x, x, twice), draft.sum(twice, x, otherwise)})};
  Context context(draft.engine({draft.control("conditional", {condition}, {y}, blocks)}, 4));
  for (const Floats& given : inputs_for(is_open)) {
    EXPECT(run(context, given, {1}) == times(2, given));
    EXPECT(run(context, given, {0}) == times(3, given));
  }
}

// a = x; `count` times a = a + a; y = a.
void test_iterations(bool is_open) {
  Draft draft(is_open);
  const int x = draft.vector("input"), count = draft.number("input", DT_TYPE_INT64), y = draft.vector("output");
  const int before = draft.vector("arena"), after = draft.vector("arena");
  const json body = draft.block({before}, {after}, {draft.sum(before, before, after)});
  Context context(draft.engine({draft.control("loop", {count, x}, {y}, {body})}, 2));
  for (const Floats& given : inputs_for(is_open)) {
    EXPECT(run(context, given, {-1}) == given);
    EXPECT(run(context, given, {0}) == given);
    EXPECT(run(context, given, {1}) == times(2, given));
    EXPECT(run(context, given, {10}) == times(1024, given));
  }
}

// `count` times: a = a + a + a if the condition holds, else a + x + x in a loop of two. y = a + a.
void test_blocks_in_blocks(bool is_open) {
  Draft draft(is_open);
  const int x = draft.vector("input"), count = draft.number("input", DT_TYPE_INT32);
  const int condition = draft.number("input", DT_TYPE_INT64), y = draft.vector("output"), last = draft.vector("arena");
  const int before = draft.vector("arena"), after = draft.vector("arena"), twice = draft.vector("arena");
  const int inner_before = draft.vector("arena"), inner_after = draft.vector("arena");
  const int then = draft.alias(after), otherwise = draft.alias(after);
  json inner = draft.control("loop", {-1, before}, {otherwise},
                             {draft.block({inner_before}, {inner_after}, {draft.sum(inner_before, x, inner_after)})});
  inner["iterations"] = 2;
  const json branches = {
      draft.block(json::array(), {then}, {draft.sum(before, before, twice), draft.sum(twice, before, then)}),
      draft.block(json::array(), {otherwise}, {inner})};
  const json body = draft.block({before}, {after}, {draft.control("conditional", {condition}, {after}, branches)});
  Context context(draft.engine({draft.control("loop", {count, x}, {last}, {body}), draft.sum(last, last, y)}, 7));
  for (const Floats& given : inputs_for(is_open)) {
    EXPECT(run(context, given, {3, 1}) == times(54, given));
    EXPECT(run(context, given, {3, 0}) == times(14, given));
    EXPECT(run(context, given, {0, 0}) == times(2, given));
  }
}

struct Interrupted {};

// A number of iterations that no run comes to the end of; the context can be used afterwards.
void test_a_loop_can_be_interrupted() {
  Draft draft(false);
  const int x = draft.vector("input"), count = draft.number("input", DT_TYPE_INT64), y = draft.vector("output");
  const int before = draft.vector("arena"), after = draft.vector("arena");
  const json body = draft.block({before}, {after}, {draft.sum(x, before, after)});
  Context context(draft.engine({draft.control("loop", {count, x}, {y}, {body})}, 2));
  const Floats given = {1, 2, 3, 4};
  for (int time = 0; time < 2; ++time) {  // the careful run and, behind the others, a quick one
    bool is_interrupted = false;
    interrupt_check = [] { throw Interrupted(); };
    try {
      run(context, given, {INT64_MAX});
    } catch (const Interrupted&) {
      is_interrupted = true;
    }
    interrupt_check = nullptr;
    EXPECT(is_interrupted);
    EXPECT(run(context, given, {4}) == times(5, given));
  }
}

// ---- on a device

dt_code decrement(void*, const dt_run* run) {
  *static_cast<int32_t*>(run->outputs[0]->data) = *static_cast<const int32_t*>(run->inputs[0]->data) - 1;
  return DT_OK;
}

dt_code copy_number(void*, const dt_run* run) {
  const dt_device_api* const api = tests::fake_device_api();
  return api->copy(nullptr, run->outputs[0]->data, run->inputs[0]->data, sizeof(int32_t), nullptr);
}

dt_code takes_anything(void*, void*, int32_t, const dt_desc* const*, int32_t, int32_t, int32_t* yes) {
  *yes = 1;
  return DT_OK;
}

void offer_fake_device(const Library& library) {
  EXPECT(offer_device(tests::fake_device_api(), "fake").empty());
  static dt_implementation add = *library.plugin->implementations[0], less = {}, copy = {};
  EXPECT_EQ(std::string(add.op), "tiny::Add@1");
  add.name = "fake";
  add.device = DT_DEVICE_CUDA;
  less.h = DT_HDR(dt_implementation);
  less.op = "tests::Decrement@1";
  less.name = "fake";
  less.device = DT_DEVICE_CUDA;
  less.supports = takes_anything;
  less.enqueue = decrement;
  static dt_row there = {}, back = {};
  static const dt_row* const rows[] = {&there, &back};
  there.h = DT_HDR(dt_row);
  there.tactic = "there";
  there.types = "i32 -> i32";
  there.formats = "linear@cpu -> linear";
  there.enqueue = copy_number;
  back = there;
  back.tactic = "back";
  back.formats = "linear -> linear@cpu";
  copy.h = DT_HDR(dt_implementation);
  copy.op = "tests::Copy@1";
  copy.name = "fake";
  copy.device = DT_DEVICE_CUDA;
  copy.n_rows = 2;
  copy.rows = rows;
  for (const dt_implementation* implementation : {&add, &less, &copy}) {
    ImplementationEntry entry;
    entry.implementation = implementation;
    entry.id = std::string(implementation->op) + "#fake";
    register_implementation(entry);
  }
}

// Memory of the device, with what a test puts there.
template <class T>
T* on_device(std::vector<T> values) {
  T* made = static_cast<T*>(tests::fake.take(&tests::fake.memory, values.size() * sizeof(T)));
  std::copy(values.begin(), values.end(), made);
  return made;
}

// The output of a run on a stream, which is not waited for. The numbers of waits are those of the run.
Floats enqueue(Context& context, const Floats& x, int32_t* number) {
  Floats result(x.size());
  float *given = on_device(x), *y = on_device(result);
  context.set_address(0, given);
  context.set_address(1, number);
  context.set_address(2, y);
  tests::fake.n_stream_waits = tests::fake.n_event_waits = 0;
  context.execute({DT_HDR(dt_stream), 1, 0, nullptr});
  std::copy(y, y + x.size(), result.begin());
  return result;
}

void test_a_condition_on_a_device_is_all_that_is_waited_for() {
  Draft draft(false, DT_DEVICE_CUDA);
  const int x = draft.vector("input"), condition = draft.number("input", DT_TYPE_INT32), y = draft.vector("output");
  const int then = draft.alias(y), otherwise = draft.alias(y), twice = draft.vector("arena");
  const json blocks = {
      draft.block(json::array(), {then}, json::array({draft.sum(x, x, then)})),
      draft.block(json::array(), {otherwise}, json::array({draft.sum(x, x, twice), draft.sum(twice, x, otherwise)}))};
  Context context(draft.engine(json::array({draft.control("conditional", {condition}, {y}, blocks)}), 4));
  const Floats given = {1, 2, 3, 4};
  int32_t* const number = on_device<int32_t>({1});
  EXPECT(enqueue(context, given, number) == times(2, given));
  *number = 0;
  EXPECT(enqueue(context, given, number) == times(3, given));
  EXPECT_EQ(tests::fake.n_stream_waits, 0);
  EXPECT_EQ(tests::fake.n_event_waits, 1);
  const std::vector<uint64_t> taken = context.execute_profiled();
  EXPECT_EQ(taken.size(), 4u);
  EXPECT(taken[1] == 0 && taken[2] > 0 && taken[3] > 0);
  EXPECT(taken[0] > 900'000 && taken[2] + taken[3] < 100'000);  // the wait is of the step that decides
  tests::fake.is_capturing = true;                              // a graph would hold one of the branches
  try {
    enqueue(context, given, number);
    EXPECT(!"captured");
  } catch (const Failure& failure) {
    EXPECT(failure.message.find("'conditional'") != std::string::npos);
  }
  tests::fake.is_capturing = false;
}

// a, n = x, 3; three times: n = n - 1; a = a + x if n, else a + a. `is_written`: n as the iteration has
// just written it.
void test_conditions_that_blocks_write(bool is_written) {
  Draft draft(false, DT_DEVICE_CUDA);
  const int x = draft.vector("input"), n = draft.number("input", DT_TYPE_INT32), y = draft.vector("output");
  const int rest = draft.number("arena", DT_TYPE_INT32);
  const int before = draft.vector("arena"), after = draft.vector("arena");
  const int n_before = draft.number("arena", DT_TYPE_INT32), n_after = draft.number("arena", DT_TYPE_INT32);
  const int less = draft.number("arena", DT_TYPE_INT32), last = draft.number("arena", DT_TYPE_INT32);
  const int then = draft.alias(after), otherwise = draft.alias(after);
  const json branches = {draft.block(json::array(), {then}, json::array({draft.sum(before, x, then)})),
                         draft.block(json::array(), {otherwise}, json::array({draft.sum(before, before, otherwise)}))};
  const json choice = draft.control("conditional", {is_written ? less : n_before}, {after}, branches);
  json body = draft.control(
      "loop", {-1, x, n}, {y, rest},
      json::array({draft.block({before, n_before}, {after, n_after},
                               {draft.decrement(n_before, less), choice, draft.decrement(n_before, n_after)})}));
  body["iterations"] = 3;
  Context context(draft.engine(json::array({body, draft.decrement(rest, last)}), 7));
  const Floats given = {1, 2, 3, 4};
  EXPECT(enqueue(context, given, on_device<int32_t>({3})) == times(is_written ? 6 : 4, given));
  EXPECT_EQ(tests::fake.n_stream_waits, 0);
  EXPECT_EQ(tests::fake.n_event_waits, 3);
}

// a, n = x, 1; three times: a = a + x if n, else a + a; n = n - 1. n is carried on the host, and comes there on the
// stream. Without a choice a = a + x each time, and it is the loop alone for which the host waits.
void test_numbers_that_a_loop_carries_on_the_host(bool has_choice) {
  Draft draft(false, DT_DEVICE_CUDA);
  const int x = draft.vector("input"), n = draft.number_on_host("input", DT_TYPE_INT32), y = draft.vector("output");
  const int rest = draft.number_on_host("arena", DT_TYPE_INT32);
  const int before = draft.vector("arena"), after = draft.vector("arena");
  const int n_before = draft.number_on_host("arena", DT_TYPE_INT32);
  const int n_after = draft.number_on_host("arena", DT_TYPE_INT32);
  const int there = draft.number("arena", DT_TYPE_INT32), less = draft.number("arena", DT_TYPE_INT32);
  json steps = json::array();
  if (has_choice) {
    const int then = draft.alias(after), otherwise = draft.alias(after);
    const json branches = {
        draft.block(json::array(), {then}, json::array({draft.sum(before, x, then)})),
        draft.block(json::array(), {otherwise}, json::array({draft.sum(before, before, otherwise)}))};
    steps.push_back(draft.control("conditional", {n_before}, {after}, branches));
  } else {
    steps.push_back(draft.sum(before, x, after));
  }
  for (const json& step :
       {draft.copy("there", n_before, there), draft.decrement(there, less), draft.copy("back", less, n_after)})
    steps.push_back(step);
  json loop = draft.control("loop", {-1, x, n}, {y, rest},
                            json::array({draft.block({before, n_before}, {after, n_after}, steps)}));
  loop["iterations"] = 3;
  Context context(draft.engine(json::array({loop}), has_choice ? 7 : 5));
  const Floats given = {1, 2, 3, 4};
  int32_t number = 1;
  for (int time = 0; time < 2; ++time) {
    EXPECT(enqueue(context, given, &number) == times(has_choice ? 5 : 4, given));
    EXPECT_EQ(tests::fake.n_event_waits, has_choice ? 3 : 0);
  }
  tests::fake.is_capturing = true;
  try {
    enqueue(context, given, &number);
    EXPECT(!"captured");
  } catch (const Failure& failure) {
    EXPECT(failure.message.find("in layer 'loop' the host waits") != std::string::npos);
  }
  tests::fake.is_capturing = false;
}

void test_a_count_on_a_device() {
  Draft draft(false, DT_DEVICE_CUDA);
  const int x = draft.vector("input"), count = draft.number("input", DT_TYPE_INT32), y = draft.vector("output");
  const int before = draft.vector("arena"), after = draft.vector("arena");
  const json body = draft.block({before}, {after}, json::array({draft.sum(before, before, after)}));
  Context context(draft.engine(json::array({draft.control("loop", {count, x}, {y}, json::array({body}))}), 2));
  const Floats given = {1, 2, 3, 4};
  int32_t* const number = on_device<int32_t>({0});
  for (const int32_t n : {0, 1, 5}) {
    *number = n;
    EXPECT(enqueue(context, given, number) == times(static_cast<float>(1 << n), given));
    EXPECT_EQ(tests::fake.n_stream_waits, 0);
    EXPECT_EQ(tests::fake.n_event_waits, 1);
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: %s LIBRARY\n", argv[0]);
    return 2;
  }
  set_log_sink([](int, const char*) {});
  offer_fake_device(*tests::offer(argv[1]));
  for (const bool is_open : {false, true}) {
    test_branches(is_open);
    test_iterations(is_open);
    test_blocks_in_blocks(is_open);
  }
  test_a_loop_can_be_interrupted();
  test_a_condition_on_a_device_is_all_that_is_waited_for();
  for (const bool is_written : {false, true}) test_conditions_that_blocks_write(is_written);
  for (const bool has_choice : {false, true}) test_numbers_that_a_loop_carries_on_the_host(has_choice);
  test_a_count_on_a_device();
  return tests::report("test_blocks");
}
