# The libraries, out of the objects of neurotap_objects:
#   neurotap         what program, tests and examples use: shared, or static without BUILD_SHARED_LIBS
#   neurotap_static  the static library beside a shared one

function(neurotap_define_library target type)
  add_library(${target} ${type} $<TARGET_OBJECTS:neurotap_objects>)
  add_library(neurotap::${target} ALIAS ${target})
  set_target_properties(${target} PROPERTIES OUTPUT_NAME neurotap LINKER_LANGUAGE CXX)
  target_include_directories(${target} PUBLIC
    $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include>
    $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
  if(type STREQUAL STATIC)
    # Its users link what it is made with; neurotap-config.cmake finds that for installed ones.
    foreach(library IN LISTS NEUROTAP_LIBRARIES)
      target_link_libraries(${target} INTERFACE "$<BUILD_INTERFACE:$<LINK_ONLY:${library}>>")
    endforeach()
    target_link_libraries(${target} INTERFACE
      "$<INSTALL_INTERFACE:$<LINK_ONLY:neurotap::dependencies>>")
  endif()
endfunction()

if(BUILD_SHARED_LIBS)
  neurotap_define_library(neurotap SHARED)
  target_link_libraries(neurotap PRIVATE ${NEUROTAP_LIBRARIES})
  set_target_properties(neurotap PROPERTIES
    VERSION ${PROJECT_VERSION}
    SOVERSION ${PROJECT_VERSION_MAJOR}
    INSTALL_RPATH_USE_LINK_PATH ON # to a libtorch outside the system's folders
    LINK_DEPENDS ${PROJECT_SOURCE_DIR}/cmake/exports.map)
  # Templates of libtorch and of the standard library would be exported too.
  target_link_options(neurotap PRIVATE
    "LINKER:--version-script=${PROJECT_SOURCE_DIR}/cmake/exports.map")
  if(NOT NEUROTAP_SANITIZE) # which clang defines in programs only
    target_link_options(neurotap PRIVATE LINKER:--no-undefined)
  endif()
  if(NEUROTAP_BUILD_STATIC)
    neurotap_define_library(neurotap_static STATIC)
  endif()
else()
  neurotap_define_library(neurotap STATIC)
endif()
