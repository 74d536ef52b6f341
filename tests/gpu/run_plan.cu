// Runs a plan on a GPU without Python: run_plan LIBRARY PLAN < x > y, with one input and one output, on a stream.
#include <cuda_runtime_api.h>

#include <cstdio>
#include <vector>

#include "dovetail/runtime.hpp"

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  try {
    dovetail::load_library(argv[1]);
    const dovetail::Engine engine(argv[2]);
    dovetail::Context context(engine);
    int32_t type = 0, index = -1;
    if (dt_engine_device(engine.get(), &type, &index) != DT_OK || type != DT_DEVICE_CUDA) return 3;
    if (engine.info(0).device_type != DT_DEVICE_CUDA || engine.info(1).device_id != index) return 4;
    std::vector<char> x(context.bytes(0)), y(context.bytes(1));
    if (std::fread(x.data(), 1, x.size(), stdin) != x.size()) return 5;
    void *device_x = nullptr, *device_y = nullptr;
    cudaStream_t stream = nullptr;
    cudaMalloc(&device_x, x.size());
    cudaMalloc(&device_y, y.size());
    cudaStreamCreate(&stream);
    context.set_address(0, device_x, x.size());
    context.set_address(1, device_y, y.size());
    cudaMemcpyAsync(device_x, x.data(), x.size(), cudaMemcpyHostToDevice, stream);
    context.execute_on(stream);
    cudaMemcpyAsync(y.data(), device_y, y.size(), cudaMemcpyDeviceToHost, stream);
    if (cudaStreamSynchronize(stream) != cudaSuccess) return 6;
    std::fwrite(y.data(), 1, y.size(), stdout);
  } catch (const dovetail::RuntimeError& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
  return 0;
}
