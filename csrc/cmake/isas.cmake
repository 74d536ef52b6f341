# The instruction sets that the kernels for CPUs are compiled for: dovetail_isa(name of options...), in the order of
# DOVETAIL_ISAS in include/dovetail/detail/isa.hpp, which says what they need and what `of` is. Compiled for one are the
# cpu_generic.hpp of all layers and families (of all), or those that name it (of some), in a line
#   // Instruction sets: all, avx512vnni.
# What takes long to compile is divided among cpu_generic.hpp and cpu_generic_<part>.hpp: a file each, for each set.
# A cpu_generic.hpp that gains nothing from most names only what it wants: "// Instruction sets: scalar."
macro(dovetail_isa name of)
  list(APPEND dovetail_isas ${name})
  set(dovetail_isa_of_${name} ${of})
  set(dovetail_isa_options_${name} ${ARGN})
endmacro()

set(dovetail_isas)
if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64|amd64")
  dovetail_isa(amx some -march=x86-64-v4 -mavx512vnni -mavx512bf16 -mamx-tile -mamx-int8 -mamx-bf16
               -mprefer-vector-width=512)
  dovetail_isa(avx512bf16 some -march=x86-64-v4 -mavx512bf16 -mprefer-vector-width=512)
  dovetail_isa(avx512vnni some -march=x86-64-v4 -mavx512vnni -mprefer-vector-width=512)
  dovetail_isa(avx512 all -march=x86-64-v4 -mprefer-vector-width=512)
  dovetail_isa(avx2 all -mavx2 -mfma -mf16c)
endif()
dovetail_isa(scalar all)
