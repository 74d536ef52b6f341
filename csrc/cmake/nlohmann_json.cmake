# The JSON reader: an installed CMake package, or the headers that the nlohmann-json distribution on PyPI carries.
add_library(dovetail_json INTERFACE)
find_package(nlohmann_json 3.11 QUIET CONFIG)
if(nlohmann_json_FOUND)
  target_link_libraries(dovetail_json INTERFACE nlohmann_json::nlohmann_json)
else()
  find_package(Python QUIET COMPONENTS Interpreter)
  if(Python_FOUND)
    execute_process(
      COMMAND ${Python_EXECUTABLE} -c "import pathlib, nlohmann_json; print(pathlib.Path(nlohmann_json.__file__).parent / 'include')"
      OUTPUT_VARIABLE json_include OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
  endif()
  if(NOT json_include)
    message(FATAL_ERROR "nlohmann/json 3.11 or newer is needed: pip install nlohmann-json, or your system's package "
                        "(nlohmann-json3-dev)")
  endif()
  target_include_directories(dovetail_json SYSTEM INTERFACE ${json_include})
endif()
