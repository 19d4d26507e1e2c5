#!/bin/sh
# Installs what neurotap needs to build and to run its tests: on Debian and its kin with apt,
# elsewhere by saying what is missing. Does nothing, quickly, where everything is there.
# `setup.sh bench` installs what the benchmark needs, too; `setup.sh deb` what Debian packages need.
set -eu

what=${1:-}

tools="cmake c++ make pkg-config"
[ "$what" != deb ] || tools="$tools dpkg-shlibdeps file"
# The comparison of the ABI, and the reference, are made and tested where a package has what they
# take.
! command -v apt-get >/dev/null 2>&1 || tools="$tools abidiff doxygen"
libraries="libzip libpng libturbojpeg cairo jansson cmocka"
packages="cmake g++ make pkg-config libzip-dev libpng-dev libturbojpeg0-dev libcairo2-dev
          libjansson-dev libcmocka-dev python3-numpy abigail-tools doxygen"

# A libtorch of the user's own choice is used as it is.
has_libtorch() {
    [ -n "${CMAKE_PREFIX_PATH:-}" ] || [ -n "${Torch_DIR:-}" ] ||
        [ -e "/usr/lib/$(uname -m)-linux-gnu/libtorch.so" ] ||
        python3 -c 'import os, sys, torch
sys.exit(not os.path.isdir(os.path.join(torch.utils.cmake_prefix_path, "Torch")))' >/dev/null 2>&1
}

# For the tests, which look for it in the same places.
has_numpy() {
    for python in /usr/bin/python3 python3; do
        "$python" -c 'from numpy import from_dlpack' >/dev/null 2>&1 && return
    done
    return 1
}

# For the benchmark: in the Python that runs it.
has_benchmark_modules() {
    "${PYTHON:-/usr/bin/python3}" -c 'import matplotlib, torch, torchvision' >/dev/null 2>&1
}

missing() {
    for tool in $tools; do
        command -v "$tool" >/dev/null 2>&1 || echo "$tool"
    done
    if command -v pkg-config >/dev/null 2>&1; then
        for library in $libraries; do
            pkg-config --exists "$library" || echo "$library"
        done
    fi
    has_numpy || echo numpy
    has_libtorch || echo libtorch
    [ "$what" != bench ] || has_benchmark_modules || echo python3-torchvision python3-matplotlib
}

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

lacking=$(missing | tr '\n' ' ')
[ -n "$lacking" ] || exit 0

if command -v apt-get >/dev/null 2>&1 && { [ "$(id -u)" = 0 ] || command -v sudo >/dev/null 2>&1; }
then
    has_libtorch || packages="$packages libtorch-dev"
    [ "$what" != deb ] || packages="$packages dpkg-dev file"
    [ "$what" != bench ] || has_benchmark_modules ||
        packages="$packages python3-torch python3-torchvision python3-matplotlib"
    echo "neurotap: installing what is missing: $lacking"
    as_root apt-get update -qq
    # shellcheck disable=SC2086 # a list of packages
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends \
        $packages >/dev/null
    lacking=$(missing | tr '\n' ' ')
    [ -n "$lacking" ] || exit 0
fi

cat >&2 <<EOF
neurotap: missing: $lacking
Install them with your system's package manager. On Debian and Ubuntu they are
  $(echo $packages)
and libtorch-dev. Any other libtorch works too: set CMAKE_PREFIX_PATH to its folder, or install
PyTorch for python3.
EOF
exit 1
