# The rows that call oneDNN, in a library of their own, which is built as those of strangers are and opened where oneDNN
# is installed. Nothing of oneDNN is needed to build it.
include(include/dovetail/plugin.cmake)
file(GLOB onednn_sources CONFIGURE_DEPENDS onednn/*.cpp)
if(onednn_sources)  # a copy of the sources may do without
  dovetail_add_plugin(dovetail_onednn ${onednn_sources})
  target_include_directories(dovetail_onednn PRIVATE ${CMAKE_CURRENT_SOURCE_DIR})
  target_link_libraries(dovetail_onednn PRIVATE ${CMAKE_DL_LIBS})
  target_compile_options(dovetail_onednn PRIVATE -O2)
  # From <environment>/lib/python3.x/site-packages/dovetail/lib to <environment>/lib, where packages put libdnnl.so.3:
  # plugins/onednn.py looks there too.
  set_target_properties(dovetail_onednn PROPERTIES INSTALL_RPATH "$ORIGIN/../../../.." BUILD_WITH_INSTALL_RPATH ON)
  list(APPEND DOVETAIL_PLUGIN_LIBRARIES dovetail_onednn)
endif()
