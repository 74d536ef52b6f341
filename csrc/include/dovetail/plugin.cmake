# dovetail_add_plugin(name source...): a library of plugins, built as the interface asks for: C++17 or later, hidden
# visibility, one exported symbol. It stands in the folder of headers:
#   python -c "import dovetail; print(dovetail.get_include())"
#
# dovetail_add_cuda_plugin(name source...): the same for .cu files, alone or beside .cpp files; the project has said
# enable_language(CUDA). cudart is linked into the library, so that it runs where only a driver is.
get_filename_component(dovetail_include_folder "${CMAKE_CURRENT_LIST_DIR}/.." ABSOLUTE CACHE)

function(dovetail_add_plugin name)
  add_library(${name} MODULE ${ARGN})
  target_include_directories(${name} PRIVATE ${dovetail_include_folder})
  target_compile_features(${name} PRIVATE cxx_std_17)
  set_target_properties(${name} PROPERTIES C_VISIBILITY_PRESET hidden CXX_VISIBILITY_PRESET hidden
                                           VISIBILITY_INLINES_HIDDEN ON)
  if(CMAKE_SYSTEM_NAME STREQUAL "Linux")
    target_link_options(${name} PRIVATE "LINKER:--version-script=${dovetail_include_folder}/dovetail/plugin.map"
                        LINKER:--exclude-libs,ALL)
    set_target_properties(${name} PROPERTIES LINK_DEPENDS ${dovetail_include_folder}/dovetail/plugin.map)
  endif()
endfunction()

function(dovetail_add_cuda_plugin name)
  dovetail_add_plugin(${name} ${ARGN})
  target_compile_features(${name} PRIVATE cuda_std_17)
  target_include_directories(${name} SYSTEM PRIVATE ${CMAKE_CUDA_TOOLKIT_INCLUDE_DIRECTORIES})  # for .cpp files
  set_target_properties(${name} PROPERTIES CUDA_VISIBILITY_PRESET hidden CUDA_RUNTIME_LIBRARY Static
                                           POSITION_INDEPENDENT_CODE ON)
endfunction()
