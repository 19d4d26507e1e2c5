#!/bin/bash
# Programs that were linked with the last release run with this one: of what its headers declared
# nothing is gone or changed. Additions pass.
#
#   test_abi.sh INCLUDE_DIR CC           compares with released.declarations; 77 without abidiff
#   test_abi.sh INCLUDE_DIR CC --renew   writes released.declarations, as part of a release
#
# released.declarations is what the headers of the last release declared; before the first one, what
# they declared when it was made. It is C, for every version of abidiff has a format of its own.
#
# To read the debug information of the library, which is all of libtorch's, takes a quarter of an hour.
# So this reads the headers, as a library of empty functions; test_exports.sh sees to it that library
# and headers agree.
set -euo pipefail
include=$1
cc=$2
here=$(cd "$(dirname "$0")" && pwd)
released=$here/released.declarations
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
export LC_ALL=C
if ! command -v abidiff >/dev/null; then
    echo 'abidiff is missing: Debian has it in abigail-tools'
    exit 77
fi

# declarations INCLUDE_DIR: what its headers declare, without what they include of the system's
declarations() {
    printf '#include <%s.h>\n' stddef stdint
    echo '#include <neurotap/neurotap.h>' | "$cc" -std=gnu11 -E -I"$1" - |
        awk -v folder="\"$1/" '/^# [0-9]/ { ours = index($3, folder) == 1; next } ours && NF'
}

# describe DECLARATIONS FILE: their ABI
describe() {
    "$cc" -std=gnu11 -E -P -x c "$1" | grep -v '^#' | tr '\n' ' ' |
        sed 's/;/;\n/g; s/__attribute__((format([^)]*)))//g' |
        sed '/visibility("default")/ s/;$/ { __builtin_trap(); }/' >"$folder/empty.c"
    "$cc" -std=gnu11 -g -O0 -fPIC -shared -w -Wl,-soname,libneurotap.so "$folder/empty.c" \
        -o "$folder/empty.so"
    abidw --no-corpus-path --no-comp-dir-path --no-show-locs --no-elf-needed --no-architecture \
        --type-id-style hash --out-file "$2" "$folder/empty.so"
}

# without_growth BEFORE AFTER: AFTER, with the structs that begin with struct_size as long as they
# are in BEFORE. They may grow: the library reads no more of one than its caller has.
without_growth() {
    awk '
        function attribute(name) {
            match($0, name "=.[^\47]*\47")
            return substr($0, RSTART + length(name) + 2, RLENGTH - length(name) - 3)
        }
        /<class-decl / {
            struct = attribute(" name")
            bits = attribute("size-in-bits")
            members = grows = grown = 0
        }
        NR == FNR {
            if (/<var-decl / && ++members == 1 && attribute(" name") == "struct_size") {
                size[struct] = bits
            }
            next
        }
        /<class-decl / && (struct in size) && bits + 0 > size[struct] + 0 {
            sub("size-in-bits=.[0-9]*", "size-in-bits=\47" size[struct])
            grows = 1
        }
        /<data-member / {
            grown = grows && attribute("layout-offset-in-bits") + 0 >= size[struct] + 0
        }
        /<\/class-decl>/ { grown = 0 }
        { sub(" hash=\47[^\47]*\47", "") } # of the whole struct, by newer versions
        !grown' "$1" "$2"
}

# compatible BEFORE AFTER
compatible() {
    without_growth "$1" "$2" >"$folder/comparable.abi"
    abidiff --no-default-suppression --no-added-syms "$1" "$folder/comparable.abi"
}

if [ "${3:-}" = --renew ]; then
    declarations "$include" >"$released"
    exit
fi

# That this notices what it is for: small headers, edited with sed.
cat >"$folder/small.h" <<'EOF'
#define API __attribute__((visibility("default")))
typedef enum ntap_status {
    NTAP_OK = 0,
    NTAP_ERROR = 1
} ntap_status;
typedef struct ntap_thing ntap_thing;
typedef struct ntap_pair {
    int first;
    int second;
} ntap_pair;
typedef struct ntap_thing_options {
    unsigned long struct_size;
    int first;
    void (*callback)(void *context, int second);
    ntap_pair *pair;
} ntap_thing_options;
API ntap_status ntap_thing_new(const ntap_thing_options *options, ntap_thing **thing);
API void ntap_thing_free(ntap_thing *thing);
API int ntap_thing_use(const ntap_thing *thing, ntap_pair pair, int many);
EOF
describe "$folder/small.h" "$folder/small.abi"

# try passes|fails SED_COMMAND
try() {
    local came_of_it=passes
    sed "$2" "$folder/small.h" >"$folder/edited.h"
    if cmp -s "$folder"/{small,edited}.h; then
        echo "FAILED: sed '$2' edits nothing"
        exit 1
    fi
    describe "$folder/edited.h" "$folder/edited.abi"
    compatible "$folder/small.abi" "$folder/edited.abi" >"$folder/report" || came_of_it=fails
    if [ "$came_of_it" != "$1" ]; then
        cat "$folder/report"
        echo "FAILED: the comparison $came_of_it after sed '$2'"
        exit 1
    fi
}
try passes '$aAPI int ntap_new(void);'
try passes 's/int many/int count/'
try passes 's/NTAP_ERROR = 1/NTAP_ERROR = 1, NTAP_ERROR_NEW = 2/'
try passes '/pair;$/ s/$/ int at_the_end;/; /^} ntap_pair/ s/ int at_the_end;//'
try fails '/ntap_thing_free/d'
try fails 's/int many/long many/'
try fails 's/int many/int many, int more/'
try fails 's/API int/API long/'
try fails 's/const ntap_thing \*thing/ntap_pair *thing/'
try fails 's/NTAP_ERROR = 1/NTAP_ERROR = 2/'
try fails 's/    int second;/    int second; int third;/'
try fails 's/struct_size;/struct_size; long inserted;/'
try fails 's/ntap_pair \*pair;//'
try fails 's/ntap_pair \*pair;/long last;/'
try fails 's/ntap_pair \*pair;/int last, new_last, more, most;/'
try fails 's/int second)/double second)/'
try fails 's/int second;$/int second; int at_the_end;/'
try fails 's/void [(][*]callback.*/long callback; int at_the_end;/'

declarations "$include" >"$folder/now.h"
describe "$folder/now.h" "$folder/now.abi"
describe "$released" "$folder/released.abi"
if ! compatible "$folder/released.abi" "$folder/now.abi"; then
    echo "FAILED: programs linked with the last release would break (tests/abi/released.declarations)"
    exit 1
fi
