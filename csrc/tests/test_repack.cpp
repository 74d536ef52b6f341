// SPDX-License-Identifier: Apache-2.0
// Packs the constants of plans again, without Python, and compares: LIBRARY PLAN... Each plan must have steps whose
// constants it holds as they are and packed.
#include <algorithm>
#include <fstream>
#include <iterator>
#include <string>

#include "check.hpp"
#include "plans.hpp"
#include "runtime/engine.hpp"

using namespace dovetail;

namespace {

void repack(const std::string& path) {
  const std::shared_ptr<Engine> engine = Engine::load(path, {.count = 1});
  const Plan& plan = engine->plan();
  int n = 0;
  for (size_t i = 0; i < plan.steps.size(); ++i) {
    const PlanStep& step = plan.steps[i];
    bool is_whole = step.packed >= 0;
    for (int32_t t : step.inputs) is_whole = is_whole && !(t >= 0 && plan.is_packed_only(t));
    if (!is_whole) continue;
    const PlanConstant& packed = plan.constants[static_cast<size_t>(step.packed)];
    const Emitted again = engine->pack(i);
    EXPECT_EQ(again.bytes, packed.bytes);
    const uint8_t* const present = engine->constant(step.packed, DT_DEVICE_CPU);
    EXPECT(std::equal(present, present + packed.bytes, again.data()));
    n += packed.data != nullptr;
  }
  EXPECT(n > 0);
  std::printf("%s: %d steps packed again\n", path.c_str(), n);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) {
    std::fprintf(stderr, "usage: %s LIBRARY PLAN...\n", argv[0]);
    return 2;
  }
  set_log_sink([](int, const char*) {});
  const std::shared_ptr<Library> library = tests::offer(argv[1]);
  for (int i = 2; i < argc; ++i) repack(argv[i]);
  return tests::report("test_repack");
}
