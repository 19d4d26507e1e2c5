# bash completion for neurotap(1)

_neurotap() {
    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]}
    # --option=value comes as three words.
    if [[ $cur == '=' ]]; then
        cur=
    elif [[ $prev == '=' ]]; then
        prev=${COMP_WORDS[COMP_CWORD - 2]}
    fi

    local run='--input --arg --size --mean --std --method --json --help'
    local attribution="--layer --neuron --of --call --unused --device --threads --memory-limit
        --fast-paths $run"
    local words=
    COMPREPLY=()
    if ((COMP_CWORD == 1)); then
        words='layers attribute bench --help --version'
    else
        case $prev in
        --input | --output | --heatmap)
            compopt -o default
            return
            ;;
        --of) words='output input' ;;
        --unused) words='error zero' ;;
        --fast-paths) words='auto off' ;;
        --device) words='cpu cuda' ;;
        --layer | --neuron | --call | --arg | --size | --mean | --std | --method) return ;;
        --threads | --memory-limit | --repeat) return ;;
        *)
            if [[ $cur != -* ]]; then
                compopt -o default # MODEL
                return
            fi
            case ${COMP_WORDS[1]} in
            layers) words="--values $run" ;;
            attribute) words="--output --heatmap $attribution" ;;
            bench) words="--repeat $attribution" ;;
            esac
            ;;
        esac
    fi
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
}

complete -F _neurotap neurotap
