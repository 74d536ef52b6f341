# The built-in layers on NVIDIA GPUs: all plugins/<layer>/cuda_* and kernels/<family>/cuda_* in one plugin library, which
# is opened only where a driver is. cudart is linked into it, so nothing of CUDA need be installed to run it. What only the host does may stand
# in a .cpp: nvcc would take three times as long for it.
set(dovetail_cuda_missing "")
if(NOT DOVETAIL_CUDA MATCHES "^(AUTO|NVCC|ON|OFF)$")
  message(FATAL_ERROR "DOVETAIL_CUDA is '${DOVETAIL_CUDA}'; it may be AUTO, NVCC, ON or OFF")
elseif(DOVETAIL_CUDA STREQUAL "OFF")
  set(dovetail_cuda_missing "DOVETAIL_CUDA=OFF")
elseif(NOT CMAKE_CUDA_COMPILER)
  find_program(DOVETAIL_NVCC nvcc HINTS ENV CUDACXX ENV CUDA_HOME ENV CUDA_PATH /usr/local/cuda PATH_SUFFIXES bin)
  mark_as_advanced(DOVETAIL_NVCC)
  if(DOVETAIL_NVCC)
    set(ENV{CUDACXX} ${DOVETAIL_NVCC})  # where check_language looks first
  else()
    set(dovetail_cuda_missing "nvcc is not on PATH, nor in CUDA_HOME or /usr/local/cuda/bin")
  endif()
endif()

# CUDA takes half of a build. Where no driver is, its kernels could not run, so AUTO compiles them only if there is one:
# the library that our own opens, which the toolkit does not have (it has stubs, named libcuda.so).
if(DOVETAIL_CUDA STREQUAL "AUTO" AND NOT dovetail_cuda_missing)
  find_library(driver NAMES libcuda.so.1 HINTS ENV LD_LIBRARY_PATH PATHS /usr/lib/wsl/lib NO_CACHE)
  if(NOT driver)
    set(dovetail_cuda_missing "nvcc is here, but no NVIDIA driver (libcuda.so.1)")
    set(dovetail_cuda_hint "To build them all the same: DOVETAIL_CUDA=ON, as in pip install . -C cmake.define.DOVETAIL_CUDA=ON")
  endif()
endif()

if(NOT dovetail_cuda_missing)
  if(NOT DEFINED CMAKE_CUDA_ARCHITECTURES)
    set(CMAKE_CUDA_ARCHITECTURES OFF CACHE STRING "What CUDA code is made for; OFF: sm_80, sm_90 and PTX, from one pass")
  endif()
  if(NOT CMAKE_CUDA_HOST_COMPILER AND NOT DEFINED ENV{CUDAHOSTCXX} AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    set(CMAKE_CUDA_HOST_COMPILER ${CMAKE_CXX_COMPILER})
  endif()
  include(CheckLanguage)
  check_language(CUDA)  # believes a compiler that the user has named
  if(NOT CMAKE_CUDA_COMPILER)
    set(dovetail_cuda_missing "nvcc was found but compiles nothing; CMake's log of this configuration says why")
  endif()
endif()

if(dovetail_cuda_missing)
  if(DOVETAIL_CUDA STREQUAL "ON")
    message(FATAL_ERROR "DOVETAIL_CUDA=ON, but ${dovetail_cuda_missing}.\n"
                        "Install the CUDA toolkit, or name its compiler: -DCMAKE_CUDA_COMPILER=/path/to/nvcc")
  endif()
  message(STATUS "CUDA kernels are not built: ${dovetail_cuda_missing}. ${dovetail_cuda_hint}")
  return()
endif()

enable_language(CUDA)
# The level that nvcc is given is the host compiler's alone, and comes after all others: what the host does is to start
# kernels. Kernels are optimised whatever it says.
string(REPLACE -O3 -O1 CMAKE_CUDA_FLAGS_RELEASE "${CMAKE_CUDA_FLAGS_RELEASE}")
set(cuda_capabilities 80 90)
if(CMAKE_CUDA_ARCHITECTURES)
  set(cuda_code ${CMAKE_CUDA_ARCHITECTURES})
  string(REGEX MATCHALL "[0-9]+" cuda_capabilities "${CMAKE_CUDA_ARCHITECTURES}")
  set(cuda_code_options --threads=2)  # the architectures compile side by side
else()
  # All code comes from the PTX of compute_80: compute_90's differs by nothing that our kernels use, and making it too
  # would take as long again. A kernel that asks for sm_90's own instructions names compute_90 as its source's option.
  set(cuda_code "sm_80, sm_90 and later ones by way of PTX")
  set(cuda_code_options --generate-code=arch=compute_80,code=[sm_80,sm_90,compute_80])
endif()
message(STATUS "CUDA kernels are built by nvcc ${CMAKE_CUDA_COMPILER_VERSION} for ${cuda_code}")
include(include/dovetail/plugin.cmake)
file(GLOB cuda_sources CONFIGURE_DEPENDS plugins/cuda_*.cu plugins/cuda_*.cpp plugins/*/cuda_*.cu plugins/*/cuda_*.cpp
     plugins/*/*/cuda_*.cu plugins/*/*/cuda_*.cpp kernels/*/cuda_*.cu kernels/*/cuda_*.cpp)
dovetail_add_cuda_plugin(dovetail_cuda ${cuda_sources})
set_target_properties(dovetail_cuda PROPERTIES CUDA_STANDARD 17)
target_include_directories(dovetail_cuda PRIVATE ${CMAKE_CURRENT_SOURCE_DIR})
if(cuda_capabilities)
  list(SORT cuda_capabilities COMPARE NATURAL)
  list(GET cuda_capabilities 0 cuda_least)
  target_compile_definitions(dovetail_cuda PRIVATE DOVETAIL_BUILT_SM=${cuda_least})
else()  # native, all: nvcc knows
  set_source_files_properties(${cuda_sources} PROPERTIES LANGUAGE CUDA)
endif()
target_compile_options(dovetail_cuda PRIVATE $<$<COMPILE_LANGUAGE:CXX>:-O1>
                                             "$<$<COMPILE_LANGUAGE:CUDA>:-Xcompiler=-Wall,-Wextra;${cuda_code_options}>")
if(DOVETAIL_CUDA_LINES)
  target_compile_options(dovetail_cuda PRIVATE $<$<COMPILE_LANGUAGE:CUDA>:-lineinfo>)
endif()
list(APPEND DOVETAIL_PLUGIN_LIBRARIES dovetail_cuda)
