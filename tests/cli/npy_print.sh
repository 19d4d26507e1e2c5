#!/bin/bash
# Prints a .npy file as text: the type and shape on the first line, then a number a line.
#
#   npy_print.sh FILE
set -u
read -ra start < <(od -An -v -tu1 -N10 "$1" | tr -s '\n' ' ')
if [ "${start[*]:0:7}" != "147 78 85 77 80 89 1" ]; then
    echo "not a .npy file of version 1"
    exit 1
fi
size=$((start[8] + 256 * start[9]))
header=$(tail -c +11 "$1" | head -c "$size")
type=${header#*"'descr': '"}
type=${type%%"'"*}
shape=${header#*"'shape': "}
shape=${shape%%\)*}")"
case $header in
*"'fortran_order': False"*) ;;
*) type="$type, not in C order" ;;
esac
echo "$type $shape"

numbers() { # od's type
    od -An -v -t"$1" -j$((10 + size)) "$2" | tr -s ' ' '\n' | grep .
}

case $type in
"<f4" | "<c8") numbers f4 "$1" ;;
"<f8" | "<c16") numbers f8 "$1" ;;
*) echo "numbers of another type" ;;
esac
