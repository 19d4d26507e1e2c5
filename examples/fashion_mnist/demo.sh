#!/bin/sh
# Which pixels drive a neuron? Lists the layers of a small CNN and draws the answer for an early
# filter, a late filter and the logit of the right class, on real images.
# Usage: demo.sh PATH_TO_NEUROTAP OUTPUT_FOLDER
set -eu

neurotap=$1
output=$2
here=$(dirname "$0")
model=$here/fashion_cnn_scripted.pt

mkdir -p "$output"
echo
echo "The layers of $model:"
echo
"$neurotap" layers "$model" --input "$here/images/ankle-boot.png"
echo

draw() { # image class
    for neuron in "early block1.conv 5,16,14" "late block3.conv 21,4,3" "class classifier $2"; do
        # shellcheck disable=SC2086 # three words
        set -- "$1" "$2" $neuron
        "$neurotap" attribute "$model" --layer "$4" --neuron "$5" --input "$here/images/$1.png" \
            --output "$output/$1-$3.npy" --heatmap "$output/$1-$3.png" >/dev/null
    done
}

draw ankle-boot 9
draw bag 8
draw trouser 1
draw dress 3

echo "Which pixels drive an early filter, a late filter and the logit of the right class:"
ls "$output"/*.png
