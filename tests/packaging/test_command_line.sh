#!/bin/bash
# The man page and the completions know the commands and options that the program's help knows.
#
#   test_command_line.sh NEUROTAP MAN_PAGE COMPLETIONS_DIR
set -euo pipefail
program=$1
man_page=$2
completions=$3
export LC_ALL=C
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
commands=(layers attribute bench)
status=0

# same WHAT EXPECTED FOUND
same() {
    if ! diff -u <(printf '%s\n' "$2") <(printf '%s\n' "$3") >"$folder/diff"; then
        echo "FAILED: $1 (- as in the help, + as found)"
        tail -n +3 "$folder/diff"
        status=1
    fi
}

# The help's lists of options: what an indented line begins with.
for command in "${commands[@]}"; do
    "$program" "$command" --help | grep -o '^  --[a-z-]*' | tr -d ' ' | sort -u >"$folder/$command"
done
documented() {
    cat "$folder/$1"
}

all=$(cd "$folder" && { cat "${commands[@]}" && echo --version; } | sort -u)
[ "$(wc -l <<<"$all")" -gt 20 ] || { echo "FAILED: the help lists hardly any options"; exit 1; }
same 'commands in the help' "$(printf '%s\n' "${commands[@]}" | sort)" \
    "$("$program" --help | sed -n 's/^  neurotap \([a-z]*\) MODEL \[.*/\1/p' | sort)"

# An option has its entry in the man page: the line behind a .TP begins with it.
entries=$(sed -n '/^[.]TP/{n;p;}' "$man_page" | sed 's/\\-/-/g; s/^[.]BI\{0,1\}R\{0,1\} //' |
    grep -o '^--[a-z-]*' | sort)
same 'entries in the man page' "$all" "$entries"
same 'commands in the man page' "$(printf '%s\n' "${commands[@]}")" \
    "$(sed -n 's/^[.]SS neurotap //p' "$man_page")"

# What bash offers, asked as it would ask.
# shellcheck disable=SC1091
. "$completions/neurotap.bash"
compopt() { :; } # works only while readline completes
offered() {
    COMP_WORDS=(neurotap "$@")
    COMP_CWORD=$#
    COMPREPLY=()
    _neurotap
    printf '%s\n' "${COMPREPLY[@]}"
}
same 'bash: commands' "$(printf '%s\n' "${commands[@]}" --help --version)" "$(offered '')"
for command in "${commands[@]}"; do
    same "bash: options of $command" "$(documented "$command")" \
        "$(offered "$command" model.pt -- | sort)"
done
same 'bash: --of' "$(printf '%s\n' output input)" "$(offered attribute m.pt --of '')"
same 'bash: --of=i' input "$(offered attribute m.pt --of = i)"
same 'bash: a file' '' "$(offered layers mod)"

# The others are read, and asked where they are installed.
read_zsh=$(sed 's/{-h,--help}/--help[/' "$completions/_neurotap" | grep -o -- '--[a-z-]*\[' |
    tr -d '[' | sort -u)
read_fish=$(grep '^complete' "$completions/neurotap.fish" | grep -o -- ' -l [a-z-]*' |
    sed 's/ -l /--/' | sort -u)
same 'zsh: options' "$all" "$read_zsh"
same 'fish: options' "$all" "$read_fish"
if command -v zsh >/dev/null; then
    zsh -n "$completions/_neurotap"
fi
if command -v fish >/dev/null; then
    for command in "${commands[@]}"; do
        asked="source '$completions/neurotap.fish'; complete -C 'neurotap $command m.pt --'"
        same "fish: options of $command" "$(documented "$command")" \
            "$(HOME=$folder fish --no-config -c "$asked" | cut -f 1 | sort)"
    done
fi
exit "$status"
