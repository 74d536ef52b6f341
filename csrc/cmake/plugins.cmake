# The built-in layers: a folder per layer under plugins/, in it a folder for each further implementation, and a folder
# under kernels/ for each family of code that several layers use. All CPU sources go into one plugin library; a new
# layer, implementation or family needs no line here.
set(DOVETAIL_PLUGIN_LIBRARIES)

# Sanitised kernels are looked into, not timed; at -O3 their checks take minutes to compile.
set(dovetail_kernel_level -O3)
if(DOVETAIL_SANITIZE)
  set(dovetail_kernel_level -O1)
endif()
# Where there are kernels for AVX2, the portable ones are for machines of before 2013: not worth the time to unroll them.
set(dovetail_scalar_level ${dovetail_kernel_level})
if(dovetail_kernel_level STREQUAL -O3 AND CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64|amd64")
  set(dovetail_scalar_level -O2)
endif()

include(cmake/isas.cmake)

# Exceptions, measured: layers whose loops stand the way they are to run. The copies that -O3 makes of them take
# twice as long to build, and run no faster (Lrn's half as fast).
set(dovetail_plain_options)
if(dovetail_kernel_level STREQUAL -O3 AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  set(dovetail_plain_options -O2 -ftree-vectorize -fvect-cost-model=dynamic)
endif()
set(dovetail_plain_folders plugins/elementwise plugins/lrn kernels/gemm)

# A library of objects for each instruction set, so that each has its precompiled header: immintrin.h takes longer to
# read than most kernels.
file(GLOB generic_headers CONFIGURE_DEPENDS RELATIVE ${CMAKE_CURRENT_SOURCE_DIR} plugins/*/cpu_generic*.hpp
     plugins/*/*/cpu_generic*.hpp kernels/*/cpu_generic*.hpp)
set(cpu_objects)
foreach(isa ${dovetail_isas})
  set(sources)
  foreach(header ${generic_headers})
    file(STRINGS ${header} named REGEX "^// Instruction sets: .*\\.$")
    if(NOT named)
      set(named "// Instruction sets: all.")
    endif()
    if(NOT named MATCHES "[ ,](${isa}|${dovetail_isa_of_${isa}})[,.]")
      continue()
    endif()
    string(REGEX REPLACE "cpu_generic([a-z0-9_]*)\\.hpp$" "cpu_${isa}\\1.cpp" source
           ${CMAKE_CURRENT_BINARY_DIR}/isas/${header})
    file(CONFIGURE OUTPUT ${source} CONTENT "#include \"${header}\"\n" @ONLY)
    list(APPEND sources ${source})
  endforeach()
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${generic_headers})
  if(NOT sources)
    continue()
  endif()
  add_library(dovetail_cpu_${isa} OBJECT ${sources})
  target_include_directories(dovetail_cpu_${isa} PRIVATE include ${CMAKE_CURRENT_SOURCE_DIR})
  target_compile_definitions(dovetail_cpu_${isa} PRIVATE DT_ISA=${isa})
  if(isa STREQUAL "scalar")
    target_compile_options(dovetail_cpu_${isa} PRIVATE ${dovetail_scalar_level})
  else()
    target_compile_options(dovetail_cpu_${isa} PRIVATE ${dovetail_isa_options_${isa}} ${dovetail_kernel_level})
  endif()
  if(isa MATCHES "avx")
    foreach(folder ${dovetail_plain_folders})
      set_source_files_properties(${CMAKE_CURRENT_BINARY_DIR}/isas/${folder}/cpu_${isa}.cpp
                                  PROPERTIES COMPILE_OPTIONS "${dovetail_plain_options}")
    endforeach()
    target_precompile_headers(dovetail_cpu_${isa} PRIVATE <immintrin.h>)
  endif()
  list(APPEND cpu_objects $<TARGET_OBJECTS:dovetail_cpu_${isa}>)
endforeach()
file(GLOB cpu_sources CONFIGURE_DEPENDS plugins/cpu_*.cpp plugins/*/cpu_*.cpp plugins/*/*/cpu_*.cpp
     kernels/*/cpu_*.cpp)
foreach(source ${cpu_sources})  # rows whose kernels are in files of their own only start them
  string(REPLACE cpu_rows.cpp cpu_generic.hpp kernels ${source})
  file(STRINGS ${source} family REGEX "^#include \"kernels/.*/cpu_rows\\.hpp\"")
  if(source MATCHES "/cpu_rows\\.cpp$" AND (family OR EXISTS ${kernels}) AND dovetail_kernel_level STREQUAL -O3)
    set_source_files_properties(${source} PROPERTIES COMPILE_OPTIONS -O2)
  endif()
endforeach()
add_library(dovetail_cpu MODULE ${cpu_sources} ${cpu_objects})
target_include_directories(dovetail_cpu PRIVATE include ${CMAKE_CURRENT_SOURCE_DIR})
list(APPEND DOVETAIL_PLUGIN_LIBRARIES dovetail_cpu)
