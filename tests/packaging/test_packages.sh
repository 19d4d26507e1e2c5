#!/bin/bash
# Installs the packages that `make deb` made, uses what they bring, and removes them. For root on a
# Debian that may be changed; .ci/run does it.
#
#   test_packages.sh PACKAGE_DIR SOURCE_DIR
set -euo pipefail
packages=$(realpath "$1")
source=$(realpath "$2")
fixtures=$source/tests/fixtures
fashion=$source/examples/fashion_mnist
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
export DEBIAN_FRONTEND=noninteractive

install() {
    apt-get install -qq -y --no-install-recommends "$@" >"$folder/apt" 2>&1 ||
        { cat "$folder/apt" && exit 1; }
}

# The program, without anything to compile with.
install "$packages"/libneurotap[0-9]*.deb "$packages"/neurotap_*.deb man-db
neurotap --version
neurotap layers "$fashion/fashion_cnn_scripted.pt" --input "$fashion/images/ankle-boot.png"
neurotap attribute "$fashion/fashion_cnn_scripted.pt" --layer classifier --neuron 9 \
    --input "$fashion/images/ankle-boot.png" --output "$folder/boot.npy" \
    --heatmap "$folder/boot.png"
[ -s "$folder/boot.npy" ] && [ -s "$folder/boot.png" ]
man neurotap >"$folder/manual"
grep -q 'neurotap - which inputs drive a neuron' "$folder/manual"
bash -c '. /usr/share/bash-completion/completions/neurotap; complete -p neurotap'
[ -s /usr/share/zsh/vendor-completions/_neurotap ]

# Programs in C and C++.
install "$packages"/libneurotap-dev_*.deb g++ pkg-config libc6-dev
# shellcheck disable=SC2046 # flags are words
{
    cc "$source/examples/neuron_gradient.c" -o "$folder/c" $(pkg-config --cflags --libs neurotap)
    cc "$source/examples/neuron_gradient.c" -o "$folder/static" \
        $(pkg-config --static --cflags --libs neurotap | sed 's/-lneurotap/-l:libneurotap.a/')
    c++ "$source/tests/packaging/consumer/consumer.cpp" -o "$folder/c++" \
        $(pkg-config --cflags --libs neurotap)
}
for program in c static; do
    "$folder/$program" "$fixtures/cnn.traced.pt" conv2 1,1,1 "$fixtures/cnn.x.npy"
done
"$folder/c++" "$fixtures/cnn.traced.pt"

apt-get purge -qq -y 'libneurotap*' neurotap >/dev/null
! find /usr/{bin,include,lib,share} -name '*neurotap*' | grep .
