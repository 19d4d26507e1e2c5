#!/bin/sh
# Each public header compiles alone, and twice over, in every language it is meant for, without a
# warning; neurotap.h includes those for C, torch.hpp is for C++ with libtorch.
#
#   test_headers.sh INCLUDE_DIR CC CXX TORCH_STANDARD TORCH_FLAGS...
#
# clang is used as well where it is installed. The standard is the oldest that libtorch compiles in,
# 17 for example.
set -eu
include=$1
c_compilers=$2
cxx=$3
cxx_compilers=$3
torch_standard=$4
shift 4
strict="-Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wundef -Werror"
strict_c="-Wstrict-prototypes -Wmissing-prototypes -Wold-style-definition"
strict_cxx="-Wold-style-cast -Wnon-virtual-dtor"
failures=0

if command -v clang >/dev/null 2>&1; then c_compilers="$c_compilers clang"; fi
if command -v clang++ >/dev/null 2>&1; then cxx_compilers="$cxx_compilers clang++"; fi

# What a user writes: the initialisers and the inline functions.
use='
#include <neurotap/neurotap.h>
size_t use(void);
size_t use(void) {
    const ntap_load_options load = NTAP_LOAD_OPTIONS_INIT;
    const ntap_neuron_gradient_options gradient = NTAP_NEURON_GRADIENT_OPTIONS_INIT;
    const ntap_attribute_options attribute = NTAP_ATTRIBUTE_OPTIONS_INIT;
    const ntap_index indices[3] = {ntap_at(1), ntap_slice(0, NTAP_OMITTED, 2), ntap_all()};
    return load.struct_size + gradient.struct_size + attribute.struct_size +
           sizeof indices / sizeof indices[0];
}'

# compile WHAT SOURCE COMPILER FLAGS...
compile() {
    what=$1
    source=$2
    shift 2
    # The flags are words. shellcheck disable=SC2086
    if ! printf '%s\n' "$source" | "$@" -I"$include" -fsyntax-only -; then
        echo "FAILED: $what with $*"
        failures=$((failures + 1))
    fi
}

# in_every_language WHAT SOURCE
in_every_language() {
    for compiler in $c_compilers; do
        for standard in c99 c11; do
            # shellcheck disable=SC2086
            compile "$1" "$2" "$compiler" -x c -std=$standard $strict $strict_c
        done
    done
    for compiler in $cxx_compilers; do
        for standard in c++17 c++20; do
            # shellcheck disable=SC2086
            compile "$1" "$2" "$compiler" -x c++ -std=$standard $strict $strict_cxx
        done
    done
}

for path in "$include"/neurotap/*.h; do
    header=neurotap/${path##*/}
    in_every_language "$header alone" "#include <$header>"
    in_every_language "$header twice" "#include <$header>
#include <$header>"
    if [ "$header" != neurotap/neurotap.h ] &&
        ! grep -q "^#include <$header>" "$include/neurotap/neurotap.h"; then
        echo "FAILED: neurotap.h does not include $header"
        failures=$((failures + 1))
    fi
done
in_every_language "a user's program" "$use"

# "@param err" is the last of a function's parameters: nothing goes on behind it that belongs elsewhere.
if ! awk '/^ \* @param err/ { described = 1; next }
          /^ \*   / { next }
          described && /^ \* [^@]/ { print "FAILED: " FILENAME ":" FNR ": behind @param err: " $0; bad = 1 }
          { described = 0 }
          END { exit bad }' "$include"/neurotap/*.h; then
    failures=$((failures + 1))
fi

# "$@" is TORCH_FLAGS.
torch_use='
#include <neurotap/torch.hpp>
#include <neurotap/torch.hpp>
at::Tensor use(const torch::jit::Module &model, const at::Tensor &image);
at::Tensor use(const torch::jit::Module &model, const at::Tensor &image) {
    const neurotap::NeuronGradient gradient(neurotap::module(model), "layer1");
    return gradient.attribute({image}, "3,4,5")[0];
}'
for compiler in $cxx_compilers; do
    # shellcheck disable=SC2086
    compile torch.hpp "$torch_use" "$compiler" -x c++ -std=c++$torch_standard $strict $strict_cxx "$@"
done
# One compiler, and not clang where libtorch's own headers do not compile as C++20: those of 1.13.
if ! "$cxx" --version | grep -q clang ||
    echo '#include <torch/script.h>' | "$cxx" -x c++ -std=c++20 -fsyntax-only "$@" - 2>/dev/null; then
    # shellcheck disable=SC2086
    compile torch.hpp "$torch_use" "$cxx" -x c++ -std=c++20 $strict $strict_cxx "$@"
fi

[ "$failures" -eq 0 ]
