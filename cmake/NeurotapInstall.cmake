# What `cmake --install` copies, in the components that packages are made of: runtime (the shared
# library), development and program. Everything finds the rest relative to itself, so that the
# installed folder can be moved.
include(CMakePackageConfigHelpers)

set(NEUROTAP_CMAKE_DIR ${CMAKE_INSTALL_LIBDIR}/cmake/neurotap)
set(NEUROTAP_BASH_COMPLETION_DIR ${CMAKE_INSTALL_DATADIR}/bash-completion/completions CACHE STRING
  "Folder of the completions for bash")
set(NEUROTAP_ZSH_COMPLETION_DIR ${CMAKE_INSTALL_DATADIR}/zsh/site-functions CACHE STRING
  "Folder of the completions for zsh")
set(NEUROTAP_FISH_COMPLETION_DIR ${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d CACHE STRING
  "Folder of the completions for fish")

set(neurotap_link_type static)
if(BUILD_SHARED_LIBS)
  set(neurotap_link_type shared)
endif()
install(TARGETS neurotap EXPORT neurotap-${neurotap_link_type}
  LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}
    COMPONENT runtime NAMELINK_COMPONENT development
  ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT development)
install(EXPORT neurotap-${neurotap_link_type} NAMESPACE neurotap::
  FILE neurotap-${neurotap_link_type}-targets.cmake
  DESTINATION ${NEUROTAP_CMAKE_DIR} COMPONENT development)
if(TARGET neurotap_static)
  install(TARGETS neurotap_static EXPORT neurotap-static
    ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT development)
  install(EXPORT neurotap-static NAMESPACE neurotap:: FILE neurotap-static-targets.cmake
    DESTINATION ${NEUROTAP_CMAKE_DIR} COMPONENT development)
endif()
install(DIRECTORY include/neurotap DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} COMPONENT development)

# find_package(neurotap)
string(REGEX MATCH "^[0-9]+[.][0-9]+" neurotap_torch_series "${Torch_VERSION}")
configure_package_config_file(cmake/neurotap-config.cmake.in
  ${PROJECT_BINARY_DIR}/neurotap-config.cmake INSTALL_DESTINATION ${NEUROTAP_CMAKE_DIR}
  NO_SET_AND_CHECK_MACRO)
write_basic_package_version_file(${PROJECT_BINARY_DIR}/neurotap-config-version.cmake
  COMPATIBILITY SameMajorVersion)
install(FILES ${PROJECT_BINARY_DIR}/neurotap-config.cmake
              ${PROJECT_BINARY_DIR}/neurotap-config-version.cmake
  DESTINATION ${NEUROTAP_CMAKE_DIR} COMPONENT development)

# pkg-config neurotap
file(RELATIVE_PATH neurotap_pc_prefix
  ${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig ${CMAKE_INSTALL_PREFIX})
string(REGEX REPLACE "/$" "" neurotap_pc_prefix "${neurotap_pc_prefix}")
# libzip's own file would add what a static libzip needs, and libtorch has none. The linker must keep
# libtorch although nothing in it is called: its CUDA part is.
set(neurotap_pc_dependencies
  "-lzip -Wl,--no-as-needed -ltorch -ltorch_cpu -lc10 -Wl,--as-needed -lstdc++ -lm -pthread")
foreach(library IN LISTS CMAKE_DL_LIBS)
  string(APPEND neurotap_pc_dependencies " -l${library}")
endforeach()
get_filename_component(neurotap_torch_folder "${TORCH_LIBRARY}" DIRECTORY)
foreach(folder IN LISTS LIBZIP_LIBRARY_DIRS neurotap_torch_folder)
  if(NOT folder IN_LIST CMAKE_CXX_IMPLICIT_LINK_DIRECTORIES)
    string(PREPEND neurotap_pc_dependencies "-L${folder} -Wl,-rpath,${folder} ")
  endif()
endforeach()
set(neurotap_pc_libs "-lneurotap")
if(NOT BUILD_SHARED_LIBS) # whoever links the library links all of it
  string(APPEND neurotap_pc_libs " ${neurotap_pc_dependencies}")
  set(neurotap_pc_dependencies "")
endif()
configure_file(cmake/neurotap.pc.in neurotap.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/neurotap.pc
  DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig COMPONENT development)

if(NEUROTAP_BUILD_CLI)
  configure_file(docs/neurotap.1.in neurotap.1 @ONLY)
  install(FILES ${PROJECT_BINARY_DIR}/neurotap.1
    DESTINATION ${CMAKE_INSTALL_MANDIR}/man1 COMPONENT program)
  install(FILES cli/completions/neurotap.bash RENAME neurotap
    DESTINATION ${NEUROTAP_BASH_COMPLETION_DIR} COMPONENT program)
  install(FILES cli/completions/_neurotap
    DESTINATION ${NEUROTAP_ZSH_COMPLETION_DIR} COMPONENT program)
  install(FILES cli/completions/neurotap.fish
    DESTINATION ${NEUROTAP_FISH_COMPLETION_DIR} COMPONENT program)
endif()
