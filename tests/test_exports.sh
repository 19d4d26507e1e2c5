#!/bin/sh
# The library exports what the headers declare, which is what exports.txt lists, and nothing else;
# test_null.c calls each of these functions.
#
#   test_exports.sh LIBRARY INCLUDE_DIR CC NM
set -eu
library=$1
include=$2
cc=$3
nm=$4
here=$(cd "$(dirname "$0")" && pwd)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
LC_ALL=C
export LC_ALL

# The symbol version itself is an absolute symbol.
"$nm" -D --defined-only "$library" | awk '$2 != "A" {print $3}' | sort >"$folder/versioned"
sed 's/@.*//' "$folder/versioned" >"$folder/exported"

# One declaration a line; the name is what stands before the parameters.
echo '#include <neurotap/neurotap.h>' | "$cc" -E -P -I"$include" - | tr '\n;' ' \n' |
    grep 'visibility("default")' | sed 's/.*[ *]\(ntap_[a-z0-9_]*\)(.*/\1/' |
    sort >"$folder/declared"

status=0
differ() {
    echo "FAILED: $1"
    status=1
}

[ -s "$folder/exported" ] || differ "the library exports nothing"
diff -u "$here/exports.txt" "$folder/exported" || differ "exports differ from tests/exports.txt"
diff -u "$folder/declared" "$folder/exported" || differ "exports differ from the headers"
if grep -v '@@NEUROTAP_[0-9]*$' "$folder/versioned"; then
    differ "these exports have no symbol version"
fi
while read -r name; do
    grep -q "[^a-z0-9_]$name[^a-z0-9_]" "$here/test_null.c" || differ "test_null.c lacks $name"
done <"$folder/exported"
exit "$status"
