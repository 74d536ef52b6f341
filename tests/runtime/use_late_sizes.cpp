// SPDX-License-Identifier: Apache-2.0
// use_late_sizes LIBRARY PLAN: outputs whose extents only the layers tell, through runtime.hpp and through runtime.h.
// The plan has x [2, 3] and y, the places where x is not zero. Prints what the tests compare.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <dovetail/runtime.hpp>
#include <stdexcept>
#include <string>

namespace {

void print(const char* what, const int32_t* y, int64_t n) {
  std::printf("%s", what);
  for (int64_t i = 0; i < n; ++i) std::printf(" %d", y[i]);
  std::printf("\n");
}

template <class Call>
void expect_failure(Call call) {
  try {
    call();
    std::printf("no failure\n");
  } catch (const dovetail::RuntimeError& error) {
    const std::string text = error.what();
    std::printf("%d %s\n", error.code(), text.substr(0, text.find('\n')).c_str());
  }
}

class Keeper : public dovetail::OutputAllocator {
 public:
  ~Keeper() override { std::free(memory_); }
  void* reallocate_output(int output, size_t bytes, size_t alignment) override {
    std::printf("reallocate %d %zu at %zu\n", output, bytes, alignment);
    if (fails) throw std::runtime_error("nothing left");
    std::free(memory_);
    memory_ = nullptr;
    if (bytes > 0) memory_ = std::aligned_alloc(alignment, (bytes + alignment - 1) / alignment * alignment);
    return memory_;
  }
  void notify_shape(int output, const std::vector<int64_t>& dims) noexcept override {
    std::printf("notify %d [%lld %lld]\n", output, static_cast<long long>(dims[0]), static_cast<long long>(dims[1]));
    n = dims[0] * dims[1];
  }
  const int32_t* values() const { return static_cast<const int32_t*>(memory_); }

  bool fails = false;
  int64_t n = 0;

 private:
  void* memory_ = nullptr;
};

// Gives memory and asks for nothing else.
class Silent : public dovetail::OutputAllocator {
 public:
  void* reallocate_output(int, size_t bytes, size_t) override { return bytes <= sizeof memory ? memory : nullptr; }
  alignas(64) int32_t memory[4] = {};
};

struct Given {
  alignas(64) int32_t memory[12];
  uint64_t bytes;
  int32_t n_notices;
};

extern "C" void* give(void* user, int32_t, uint64_t bytes, uint64_t) {
  static_cast<Given*>(user)->bytes = bytes;
  return static_cast<Given*>(user)->memory;
}

extern "C" void* give_nothing(void*, int32_t, uint64_t, uint64_t) { return nullptr; }

extern "C" void take_notice(void* user, int32_t, int32_t ndim, const int64_t* dims) {
  static_cast<Given*>(user)->n_notices += ndim == 2 && dims[0] == 2;
}

}  // namespace

int main(int argc, char** argv) try {
  if (argc != 3) return 2;
  dovetail::load_library(argv[1]);
  const dovetail::Engine engine(argv[2], 1);
  dovetail::Context context(engine);
  const int y = engine.index("y");
  float x[6] = {0, 1, 0, 2, 0, 3};
  context.set_address(0, x, sizeof x);
  const auto set = [&](float a, float b) { std::memcpy(&x[0], &a, sizeof a), std::memcpy(&x[5], &b, sizeof b); };

  std::printf("max %zu %zu\n", context.max_output_size(0), context.max_output_size(y));
  expect_failure([&] { context.bytes(y); });
  expect_failure([&] { context.max_output_size(7); });

  Keeper keeper;
  context.set_output_allocator(y, &keeper);
  dovetail::Context moved = std::move(context);  // takes the allocator along
  moved.execute();
  print("y", keeper.values(), keeper.n);
  std::printf("%zu of %zu\n", moved.bytes(y), moved.max_output_size(y));
  set(7, 8);
  moved.execute();
  print("y", keeper.values(), keeper.n);
  std::memset(x, 0, sizeof x);  // nothing is needed: null is fine
  moved.execute();
  print("y", keeper.values(), keeper.n);
  set(7, 0);
  keeper.fails = true;
  expect_failure([&] { moved.execute(); });
  keeper.fails = false;
  moved.execute();  // the context can be used on
  print("y", keeper.values(), keeper.n);

  Silent silent;
  moved.set_output_allocator(y, &silent);
  moved.execute();
  print("silent", silent.memory, 2);
  expect_failure([&] { moved.set_output_allocator(0, &silent); });

  moved.set_output_allocator(y, nullptr);
  int32_t buffer[12] = {};
  moved.set_address(y, buffer, moved.max_output_size(y));
  set(0, 9);
  moved.execute();
  print("buffer", buffer, 2);
  std::printf("[%lld %lld]\n", static_cast<long long>(moved.shape(y)[0]), static_cast<long long>(moved.shape(y)[1]));
  moved.set_address(y, buffer, 4);
  expect_failure([&] { moved.execute(); });

  // The same in C.
  dt_context* const c = moved.get();
  uint64_t most = 1;
  Given given = {};
  std::printf("%d", dt_context_max_bytes(c, y, &most));
  std::printf(" %d", dt_context_max_bytes(c, -1, &most));
  std::printf(" %d %llu\n", dt_context_max_bytes(nullptr, y, &most), static_cast<unsigned long long>(most));
  std::printf("%d", dt_context_set_output_allocator(c, y, give, take_notice, &given));
  std::printf(" %d", dt_context_execute(c, nullptr));
  std::printf(" %d", dt_context_set_output_allocator(c, y, give, nullptr, &given));
  std::printf(" %d", dt_context_execute(c, nullptr));
  std::printf(" %d\n", given.n_notices);
  print("given", given.memory, static_cast<int64_t>(given.bytes / sizeof(int32_t)));
  std::printf("%d", dt_context_set_output_allocator(c, y, give_nothing, take_notice, &given));
  std::printf(" %d", dt_context_execute(c, nullptr));
  std::printf(" %d", dt_context_set_output_allocator(c, y, nullptr, take_notice, &given));
  std::printf(" %d", dt_context_set_address(c, y, buffer, sizeof buffer));
  std::printf(" %d %d\n", dt_context_execute(c, nullptr), given.n_notices);
  return 0;
} catch (const dovetail::RuntimeError& error) {
  return std::fprintf(stderr, "%s\n", error.what()), 1;
}
