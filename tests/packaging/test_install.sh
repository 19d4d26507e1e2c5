#!/bin/bash
# Installs a build, moves what was installed, and uses it from there: the program, a project that
# finds the library through find_package, and programs that find it through pkg-config.
#
#   test_install.sh BUILD_DIR SOURCE_DIR LIBDIR KIND CMAKE CC CXX CXX_STANDARD TORCH_DIR
#
# LIBDIR is relative to the prefix. KIND is what was built: shared, static, or both.
set -euo pipefail
build=$1 source=$2 libdir=$3 kind=$4 cmake=$5 cc=$6 cxx=$7 standard=$8 torch=$9
here=$source/tests/packaging
model=$source/tests/fixtures/cnn.traced.pt
input=$source/tests/fixtures/cnn.x.npy
fashion=$source/examples/fashion_mnist
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
prefix=$folder/moved
export LC_ALL=C

fail() {
    echo "FAILED: $1"
    exit 1
}

# quietly COMMAND...
quietly() {
    "$@" >"$folder/output" 2>&1 || { cat "$folder/output" && fail "$*"; }
}

# expect PATTERN COMMAND...: the whole output is one line for the pattern
expect() {
    local pattern=$1
    shift
    quietly "$@"
    grep -Ezq -- "$pattern" "$folder/output" || { cat "$folder/output" && fail "$*: no '$pattern'"; }
}

DESTDIR=$folder/stage quietly "$cmake" --install "$build" --prefix /opt/neurotap --strip
mv "$folder/stage/opt/neurotap" "$prefix"
[ -z "$(find "$folder/stage" ! -type d)" ] || fail "files outside the prefix: $(find "$folder/stage")"

version=$("$prefix/bin/neurotap" --version | cut -d ' ' -f 2)
expect 'classifier' "$prefix/bin/neurotap" layers "$fashion/fashion_cnn_scripted.pt"
for file in share/man/man1/neurotap.1 share/bash-completion/completions/neurotap \
    share/zsh/site-functions/_neurotap share/fish/vendor_completions.d/neurotap.fish; do
    [ -s "$prefix/$file" ] || fail "$file is missing"
done
grep -q "neurotap $version" "$prefix/share/man/man1/neurotap.1" || fail 'the version of the man page'
diff -r "$source/include/neurotap" "$prefix/include/neurotap" || fail 'headers'
# What was installed speaks of neither the sources nor the build.
grep -rlF -e "$source" -e "$build" "$prefix/$libdir/cmake" "$prefix/$libdir/pkgconfig" \
    "$prefix/share" && fail 'paths of the build'

if [ "$kind" != static ]; then
    library=$prefix/$libdir/libneurotap.so
    expect "SONAME.*\[libneurotap.so.${version%%.*}\]" readelf -d "$library"
    [ "$(readlink -f "$library")" = "$(readlink -f "$prefix")/$libdir/libneurotap.so.$version" ] ||
        fail "$library leads to $(readlink -f "$library")"
    expect "libneurotap.so.* => $folder/moved/" ldd "$prefix/bin/neurotap"
fi

# find_package
options=()
[ "$kind" != both ] || options=(-DSTATIC=ON)
quietly "$cmake" -S "$here/consumer" -B "$folder/consumer" -DVERSION="${version%.*}" \
    -DEXAMPLES="$source/examples" \
    -DCMAKE_C_COMPILER="$cc" -DCMAKE_CXX_COMPILER="$cxx" -DCMAKE_CXX_STANDARD="$standard" \
    -DCMAKE_PREFIX_PATH="$prefix" -DTorch_DIR="$torch" "${options[@]}"
quietly "$cmake" --build "$folder/consumer" --parallel 2
depends='the neuron depends most on number'
expect "$depends" "$folder/consumer/neuron_gradient" "$model" conv2 1,1,1 "$input"
expect 'ankle boot.*[+].*-' "$folder/consumer/existing_deployment" \
    "$fashion/fashion_cnn_scripted.pt" "$fashion/images/ankle-boot.pgm" classifier 9
if [ "$kind" = both ]; then
    expect "$depends" "$folder/consumer/neuron_gradient_static" "$model" conv2 1,1,1 "$input"
    ! ldd "$folder/consumer/neuron_gradient_static" | grep libneurotap ||
        fail 'the static program uses the shared library'
fi

# pkg-config
export PKG_CONFIG_PATH=$prefix/$libdir/pkgconfig${PKG_CONFIG_PATH:+:$PKG_CONFIG_PATH}
[ "$(pkg-config --modversion neurotap)" = "$version" ] || fail 'the version in neurotap.pc'
flags() {
    pkg-config "$@" neurotap
}
# shellcheck disable=SC2046 # flags are words
{
    quietly "$cc" "$source/examples/neuron_gradient.c" -o "$folder/c" $(flags --cflags --libs) \
        -Wl,-rpath,"$prefix/$libdir"
    quietly "$cxx" "$here/consumer/consumer.cpp" -o "$folder/c++" $(flags --cflags --libs) \
        -Wl,-rpath,"$prefix/$libdir"
    if [ "$kind" = both ]; then
        # With both kinds there, the linker must be told which.
        quietly "$cc" "$source/examples/neuron_gradient.c" -o "$folder/static" \
            $(flags --static --cflags --libs | sed 's/-lneurotap/-l:libneurotap.a/')
        expect "$depends" "$folder/static" "$model" conv2 1,1,1 "$input"
    fi
}
expect "$depends" "$folder/c" "$model" conv2 1,1,1 "$input"
expect "neurotap $version: [1-9]" "$folder/c++" "$model"
