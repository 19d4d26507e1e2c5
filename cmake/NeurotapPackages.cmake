# `cpack` makes Debian packages of the components: libneurotap0, libneurotap-dev and neurotap. Use it on
# a build of the preset "package", which has Debian's paths and compiler flags; `make deb` does that.
set(CPACK_GENERATOR DEB)
set(CPACK_COMPONENTS_ALL runtime development program)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_RELEASE 1)
set(CPACK_DEBIAN_ENABLE_COMPONENT_DEPENDS OFF) # each package says its own, with versions
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS_PRIVATE_DIRS "${PROJECT_BINARY_DIR}")
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS
  OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)
set(CPACK_STRIP_FILES ON)
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "") # each package has its own

# Who makes the packages answers for them: named as for Debian's tools, or else as for git.
set(neurotap_name "$ENV{DEBFULLNAME}")
set(neurotap_email "$ENV{DEBEMAIL}")
if(NOT neurotap_email)
  foreach(key name email)
    execute_process(COMMAND git config user.${key} WORKING_DIRECTORY "${PROJECT_SOURCE_DIR}"
      OUTPUT_VARIABLE neurotap_${key} OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
  endforeach()
endif()
if(NOT neurotap_email)
  set(neurotap_name "local build")
  set(neurotap_email "root@localhost")
endif()
set(CPACK_PACKAGE_CONTACT "${neurotap_name} <${neurotap_email}>")

set(neurotap_version "${PROJECT_VERSION}-${CPACK_DEBIAN_PACKAGE_RELEASE}")
set(neurotap_runtime_package libneurotap${PROJECT_VERSION_MAJOR})

set(CPACK_DEBIAN_RUNTIME_PACKAGE_NAME ${neurotap_runtime_package})
set(CPACK_DEBIAN_RUNTIME_PACKAGE_SECTION libs)
set(CPACK_DEBIAN_RUNTIME_PACKAGE_GENERATE_SHLIBS ON)
set(CPACK_DEBIAN_PACKAGE_GENERATE_SHLIBS ON)
set(CPACK_DEBIAN_PACKAGE_GENERATE_SHLIBS_POLICY ">=")
set(CPACK_DEBIAN_RUNTIME_PACKAGE_CONTROL_EXTRA "${PROJECT_SOURCE_DIR}/cmake/debian/triggers")
set(CPACK_DEBIAN_RUNTIME_DESCRIPTION
"forward hooks and neuron gradients on PyTorch models - library
neurotap loads TorchScript files, observes or replaces what any layer of the
model receives and returns, and computes the gradient of chosen neurons with
respect to the model's inputs.
.
This package contains the shared library.")

set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_NAME libneurotap-dev)
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_SECTION libdevel)
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_DEPENDS
  "${neurotap_runtime_package} (= ${neurotap_version}), libtorch-dev, libzip-dev")
set(CPACK_DEBIAN_DEVELOPMENT_DESCRIPTION
"forward hooks and neuron gradients on PyTorch models - development
neurotap loads TorchScript files, observes or replaces what any layer of the
model receives and returns, and computes the gradient of chosen neurons with
respect to the model's inputs.
.
This package contains the headers for C and C++, the static library, and the
files for CMake and pkg-config.")

set(CPACK_DEBIAN_PROGRAM_PACKAGE_NAME neurotap)
set(CPACK_DEBIAN_PROGRAM_PACKAGE_SECTION science)
set(CPACK_DEBIAN_PROGRAM_PACKAGE_DEPENDS "${neurotap_runtime_package} (= ${neurotap_version})")
set(CPACK_DEBIAN_PROGRAM_DESCRIPTION
"which inputs drive a neuron inside a PyTorch model
neurotap loads a TorchScript file, lists its layers, and computes the gradient
of chosen neurons with respect to the model's inputs, as arrays or as pictures.
Neither Python nor the model's source code is needed.")

# The files that Debian wants in every package, and compressed manuals.
set(CPACK_PRE_BUILD_SCRIPTS "${PROJECT_SOURCE_DIR}/cmake/DebianFiles.cmake")
set(CPACK_NEUROTAP_DEBIAN_DIR "${PROJECT_SOURCE_DIR}/cmake/debian")
set(CPACK_NEUROTAP_VERSION "${neurotap_version}")
set(CPACK_VERBATIM_VARIABLES ON)
include(CPack)
