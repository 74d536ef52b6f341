// SPDX-License-Identifier: Apache-2.0
// Runs a stored plan: run_plan PLAN LIBRARY... [NAME=FILE...]
// Inputs are read from their files, those without one are zero; outputs are printed, and written to their files. A name
// that the plan does not have, and a file of another size than its input, are refused.
#include <algorithm>
#include <cstdio>
#include <dovetail/runtime.hpp>
#include <fstream>
#include <map>

static void read_input(const std::string& name, const std::string& path, std::vector<char>& buffer) {
  std::ifstream file(path, std::ios::binary | std::ios::ate);
  const long long bytes = file ? static_cast<long long>(file.tellg()) : -1;
  if (bytes != static_cast<long long>(buffer.size())) {
    throw std::runtime_error("input '" + name + "' takes " + std::to_string(buffer.size()) + " bytes, " + path +
                             (bytes < 0 ? " cannot be read" : " has " + std::to_string(bytes)));
  }
  file.seekg(0).read(buffer.data(), static_cast<std::streamsize>(buffer.size()));
}

int main(int argc, char** argv) try {
  if (argc < 2) return std::fprintf(stderr, "usage: run_plan PLAN LIBRARY... [NAME=FILE...]\n"), 2;
  std::map<std::string, std::string> files;
  for (int i = 2; i < argc; ++i) {
    const std::string argument = argv[i];
    const size_t at = argument.find('=');
    if (at == std::string::npos) dovetail::load_library(argument);
    if (at != std::string::npos) files[argument.substr(0, at)] = argument.substr(at + 1);
  }
  const dovetail::Engine engine(argv[1]);
  for (const auto& [name, path] : files) engine.index(name);  // throws, listing the names that there are
  dovetail::Context context(engine);
  for (int i = 0; i < engine.n_inputs(); ++i) context.set_input_shape(i, engine.optimal_shape(i));
  std::vector<std::vector<char>> buffers;
  for (int io = 0; io < engine.n_inputs() + engine.n_outputs(); ++io) {
    std::vector<char>& buffer = buffers.emplace_back(context.bytes(io));
    const auto file = files.find(engine.info(io).name);
    if (io < engine.n_inputs() && file != files.end()) read_input(file->first, file->second, buffer);
    if (io < engine.n_inputs() && file == files.end())
      std::fprintf(stderr, "input '%s' has no file: it is zero\n", engine.info(io).name);
    context.set_address(io, buffer.data(), buffer.size());
  }
  context.execute();
  for (int io = engine.n_inputs(); io < engine.n_inputs() + engine.n_outputs(); ++io) {
    const std::vector<char>& buffer = buffers[static_cast<size_t>(io)];
    std::printf("%s [", engine.info(io).name);
    for (int64_t extent : context.shape(io)) std::printf(" %lld", static_cast<long long>(extent));
    std::printf(" ]");
    for (size_t i = 0; engine.info(io).data_type == DT_TYPE_FLOAT && i < std::min<size_t>(buffer.size() / 4, 8); ++i)
      std::printf(" %g", reinterpret_cast<const float*>(buffer.data())[i]);
    std::printf("\n");
    if (const auto file = files.find(engine.info(io).name); file != files.end())
      if (!std::ofstream(file->second, std::ios::binary).write(buffer.data(), static_cast<long>(buffer.size())))
        throw std::runtime_error(file->second + " cannot be written");
  }
} catch (const std::exception& error) {
  return std::fprintf(stderr, "%s\n", error.what()), 1;
}
