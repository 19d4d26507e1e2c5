#!/bin/bash
# The command line program, run as a user runs it: what it prints, writes, refuses and leaves
# behind. B numbers are the design's (shared/design.md, section 4). The numbers that attributions
# have to have are those of fixtures/cases.json, or follow from models and images in cli/ by hand.
#
#   test_cli.sh NEUROTAP FIXTURES EXAMPLES [SECTION...]
#
# Prints `ok NAME` or `not ok NAME` for every check. Exit status 1 if one failed. A start of the
# program takes half a second, most of it libtorch's; that is why checks share runs.
set -u

neurotap=$(realpath "$1")
fixtures=$(realpath "$2")
examples=$(realpath "$3")
data=$(realpath "$(dirname "$0")")/cli
shift 3

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
trap 'jobs -p | xargs -r kill; exit 130' INT TERM HUP

export LC_ALL=C.UTF-8
# Every start of libtorch allocates a lot; with short stacks AddressSanitizer takes less time.
asan_options=${ASAN_OPTIONS:-}
export ASAN_OPTIONS="malloc_context_size=2:$asan_options"
drawing_leaks="suppressions=$data/lsan.supp:print_suppressions=0${LSAN_OPTIONS:+:$LSAN_OPTIONS}"

# --- Tools. Every section runs in a folder of its own, where f, d and e are fixtures, cli and
# examples; its temporary files go to $TMPDIR, its program's output to $box/out and $box/err.

# run ARGUMENT...: runs the program; leaves its exit status in $status. $stdout may redirect it.
run() {
    command="neurotap $*"
    timeout 60 "$neurotap" "$@" >"${stdout:-$box/out}" 2>"$box/err"
    status=$?
}

# report NAME PROBLEM: the verdict of a check; it passed if there is no problem.
report() {
    if [ -z "$2" ]; then
        echo "ok $1"
        return
    fi
    echo "not ok $1"
    printf '#   %s\n' "$2" "ran: $command" "exit status: $status"
    head -n 20 "$box/err" | sed 's/^/#   standard error: /'
}

# The file names that a run may not add to.
files() { ls -A . "$TMPDIR"; }

# What is wrong with the last run if it had to succeed without a word on standard error.
failure() {
    if [ "$status" != 0 ]; then
        echo "exit status $status, expected 0"
    elif [ -s "$box/err" ]; then
        echo "there is something on standard error"
    fi
}

# works NAME ARGUMENT...: the program succeeds.
works() {
    local name=$1
    shift
    run "$@"
    report "$name" "$(failure)"
}

# prints NAME: the last run printed what is on standard input, to the letter.
prints() {
    report "$1" "$(diff - "$box/out" | sed '2,$s/^/#   /')"
}

# shows NAME PATTERN: what the last run printed has a part that matches the glob PATTERN.
shows() {
    report "$1" "$([[ $(<"$box/out") == *$2* ]] || echo "printed: $(<"$box/out")")"
}

# says NAME LINE...: the last run printed a JSON document with these values (see json.awk).
says() {
    local name=$1 line problem=
    shift
    LC_ALL=C awk -f "$data/json.awk" "$box/out" >"$box/json" ||
        problem="printed no JSON: $(tail -n 1 "$box/json")"
    for line in "$@"; do
        [ -n "$problem" ] || grep -qxF -e "$line" "$box/json" || problem="JSON lacks: $line"
    done
    report "$name" "$problem"
}

# The error message of the last run; if it is JSON, behind its status. Fails if it is neither.
message() {
    if [[ $command == *" --json"* ]]; then
        LC_ALL=C awk -f "$data/json.awk" "$box/err" >"$box/json" || return
        sed -n 's/^\.error\.status "\(.*\)"$/\1/p' "$box/json" | tr '\n' ' '
        sed -n 's/^\.error\.message "\(.*\)"$/\1/p' "$box/json"
    else
        sed -n 's/^neurotap: //p' "$box/err"
    fi
}

# fails NAME STATUS PATTERN ARGUMENT...: the program fails, says why on one line of standard error
# (the glob PATTERN is a part of that), prints nothing else and leaves no file.
fails() {
    local name=$1 expected=$2 pattern=$3 before problem=
    shift 3
    before=$(files)
    run "$@"
    if [ "$status" != "$expected" ]; then
        problem="exit status $status, expected $expected"
    elif [ -s "$box/out" ]; then
        problem="there is something on standard output"
    elif [ "$(wc -l <"$box/err")" != 1 ]; then
        problem="standard error has $(wc -l <"$box/err") lines, expected 1"
    elif [[ $(message) != *$pattern* ]]; then
        problem="the message does not match '$pattern'"
    elif [ "$(files)" != "$before" ]; then
        problem="files were left: $(files | tr '\n' ' ')"
    fi
    report "$name" "$problem"
}

# misused NAME PATTERN ARGUMENT...: fails with exit status 2, and names the help.
misused() {
    local name=$1 pattern=$2
    shift 2
    case ${1-} in
    layers | attribute | bench) fails "$name" 2 "$pattern*(see 'neurotap $1 --help')" "$@" ;;
    *) fails "$name" 2 "$pattern*(see 'neurotap --help')" "$@" ;;
    esac
}

# difference EXPECTED ACTUAL [TOLERANCE]: how two .npy files differ; see compare.awk.
difference() {
    LC_ALL=C awk -v tolerance="${3:-1e-5}" -f "$data/compare.awk" \
        <(bash "$data/npy_print.sh" "$1") <(bash "$data/npy_print.sh" "$2" 2>&1)
}

# gradient NAME EXPECTED ARGUMENT...: `attribute` writes what is in the files EXPECTED, one for each
# input, separated by spaces. $tolerance is that of cases.json.
gradient() {
    local name=$1 expected outputs=() i problem
    read -ra expected <<<"$2"
    shift 2
    rm -f got?.npy
    for i in "${!expected[@]}"; do
        outputs+=(--output "got$i.npy")
    done
    run attribute "$@" "${outputs[@]}"
    problem=$(failure)
    for i in "${!expected[@]}"; do
        [ -n "$problem" ] || problem=$(difference "${expected[i]}" "got$i.npy" "${tolerance:-1e-5}")
    done
    report "$name" "$problem"
}

# holds NAME FILE TOLERANCE TYPE_AND_SHAPE NUMBER...: a .npy file has these numbers.
holds() {
    local name=$1 file=$2 tolerance=$3
    shift 3
    report "$name" "$(LC_ALL=C awk -v tolerance="$tolerance" -f "$data/compare.awk" \
        <(printf '%s\n' "$@") <(bash "$data/npy_print.sh" "$file" 2>&1))"
}

# What the gradient of all of d/squares.pt's neurons is for pixels (0 to 255): twice the input.
doubled() { # mean std pixel...
    printf '%s\n' "${@:3}" | LC_ALL=C awk -v mean="$1" -v std="$2" '{
        printf "%.9g ", 2 * ($1 / 255 - mean) / std
    }'
}

# --- Sections

mlp=f/mlp.scripted.pt
fashion=e/fashion_mnist/fashion_cnn_scripted.pt
boot=e/fashion_mnist/images/ankle-boot.png

section_help() {
    local option problem
    works "--version succeeds" --version
    report "--version names both versions" "$(grep -qxE \
        'neurotap [0-9]+\.[0-9]+\.[0-9]+ \(libtorch [0-9]+\.[0-9]+\.[0-9]+.*\)' "$box/out" ||
        echo "printed $(<"$box/out")")"

    works "--help succeeds" --help
    shows "--help names the commands" "neurotap layers MODEL*attribute MODEL*neurotap bench MODEL"

    works "layers --help succeeds, whatever else is on the line" layers --arg 1 --help
    problem=
    for option in values method input arg size mean std json help; do
        grep -qE -- "^  --$option( |\$)" "$box/out" || problem="lacks --$option"
    done
    report "layers --help describes every option" "$problem"

    works "attribute --help succeeds" attribute --help
    problem=
    for option in layer neuron of call unused input arg size mean std output heatmap json method \
        device threads memory-limit fast-paths help; do
        grep -qE -- "^  --$option( |\$)" "$box/out" || problem="lacks --$option"
    done
    report "attribute --help describes every option" "$problem"
    cp "$box/out" help.txt

    works "bench --help succeeds" bench --help
    problem=
    for option in layer neuron of call unused input arg size mean std repeat json method device \
        threads memory-limit fast-paths help; do
        grep -qE -- "^  --$option( |\$)" "$box/out" || problem="lacks --$option"
    done
    report "bench --help describes every option" "$problem"
    cat help.txt >>"$box/out"
    report "the help fits a terminal of 80 columns" "$(grep -nE '.{81}' "$box/out")"

    misused "no command is a usage error" "a command is missing"
    misused "an unknown command is a usage error that names it" "'frobnicate'" frobnicate
    misused "a misspelt command gets a suggestion" "'layer'; did you mean 'layers'?" layer
    misused "help is an option" "'help'; did you mean '--help'?" help
    misused "a misspelt option gets a suggestion" "'--versoin'; did you mean '--version'?" --versoin
    misused "an unknown command is reported in JSON" "NTAP_ERROR_INVALID_ARGUMENT *'nope'" \
        nope --json
    run --json nope
    report "--json before the command is reported in JSON" \
        "$(grep -v "^{\"error\":.*there is no option '--json'.*}$" "$box/err")"
}

section_layers_usage() {
    misused "layers: a missing MODEL is a usage error" "MODEL is missing" layers
    misused "layers: a second MODEL is a usage error that names it" "'two.pt'" layers "$mlp" two.pt
    misused "layers: an unknown option is a usage error, in JSON even if --json comes later" \
        "NTAP_ERROR_INVALID_ARGUMENT *'--frobnicate'" layers "$mlp" --frobnicate --json
    misused "layers: an option without its value is a usage error" "'--input' needs a value" \
        layers "$mlp" --input
    misused "layers: standard input cannot be MODEL and input" "standard input" \
        layers - --input -
    misused "an abbreviated option is refused with its whole name" "'--inp'*'--input'?" \
        layers "$mlp" --inp f/mlp.x.npy
    misused "a misspelt option's value is no part of the suggestion" "'--nethod=x'*'--method'?" \
        layers "$mlp" --nethod=x
    misused "options end behind --" "unexpected argument '--values'" \
        layers -- "$mlp" --values
    cp "$mlp" ./-m.pt
    works "a model behind -- may begin with a dash" layers -- -m.pt
    misused "layers: --method twice is a usage error" "--method is given twice" \
        layers "$mlp" --method encode --method forward
}

# Malformed values of options; everything else is right.
section_attribute_values() {
    local right=(attribute "$mlp" --layer fc1 --input f/mlp.x.npy --output got.npy)
    local most=("${right[@]}" --neuron 4)
    misused "attribute: --neuron all is alone" "--neuron all" "${most[@]}" --neuron all
    misused "attribute: nothing joins --neuron all" "--neuron all" "${right[@]}" --neuron all \
        --neuron 4
    misused "attribute: --memory-limit is a number of bytes" "--memory-limit '2T'*512M" \
        "${most[@]}" --memory-limit 2T
    misused "attribute: --memory-limit is not larger than any memory" "--memory-limit" \
        "${most[@]}" --memory-limit 99999999999G
    misused "attribute: --fast-paths knows auto and off" "--fast-paths*'on'" \
        "${most[@]}" --fast-paths on
    misused "attribute: an empty device in a list is a usage error" "--device" \
        "${most[@]}" --device cpu,,cpu
    misused "attribute: --device twice is a usage error" "--device given twice*cpu,cpu" \
        "${most[@]}" --device cpu --device cpu
    misused "attribute: an unknown device is a usage error that names it" "--device*'gpu'" \
        "${most[@]}" --device gpu
    misused "attribute: --of knows output and input" "--of*'outputs'" "${most[@]}" --of outputs
    misused "B10 attribute: calls are counted from 1" "--call '0'" "${most[@]}" --call 0
    misused "attribute: a malformed --neuron is a usage error that shows it, in JSON" \
        "NTAP_ERROR_INVALID_ARGUMENT *--neuron*'1,x'" "${right[@]}" --neuron 1,x --json
    misused "B3 attribute: a negative step is a usage error" "--neuron*'::-1'*step" \
        "${right[@]}" --neuron ::-1
    misused "attribute: --size is at least 1" "--size '0'" "${most[@]}" --size 0
    misused "attribute: --std is not 0" "--std '0'" "${most[@]}" --std 0
    misused "attribute: a misspelt option gets a suggestion" \
        "'--outptu'; did you mean '--output'?" "${most[@]}" --outptu x.npy
    misused "attribute: a heatmap is not named like another format" "--heatmap 'map.JPG'*PNG" \
        "${most[@]}" --heatmap map.JPG
}

section_attribute_usage() {
    local right=(attribute "$mlp" --layer fc1 --neuron 4 --input f/mlp.x.npy)
    misused "attribute: --layer must be given" "--layer is missing" \
        attribute "$mlp" --neuron 4 --input f/mlp.x.npy --json
    misused "attribute: --input must be given" "--input is missing" \
        attribute "$mlp" --layer fc1 --neuron 4 --json
    misused "attribute: a result must be asked for" "--output, --heatmap or --json" "${right[@]}"
    misused "attribute: there is one --output for each --input" "2 --output for 1 --input" \
        "${right[@]}" --output a.npy --output b.npy
    misused "attribute: --output is no picture" "--output 'grad.PNG'*numbers*--heatmap FILE.png" \
        "${right[@]}" --output grad.PNG
    misused "attribute: standard output is not for a file and --json" "standard output" \
        "${right[@]}" --output - --json
    misused "attribute: no file is written twice" "'same.npy'" \
        "${right[@]}" --output same.npy --heatmap same.npy
    misused "attribute: a heatmap is of one neuron" "--heatmap*not 2*one --neuron" \
        "${right[@]}" --neuron 5 --heatmap map.png
    misused "attribute: a heatmap is not of all neurons" "--heatmap*not all" attribute "$mlp" \
        --layer fc1 --neuron all --input f/mlp.x.npy --heatmap map.png
    fails "attribute: no file is written twice under two names" 2 "twice" attribute \
        f/twoinputs.scripted.pt --layer both --neuron 1 --input f/twoinputs.x.npy \
        --input f/twoinputs.y.npy --output same.npy --output ./same.npy
}

section_overwriting() {
    local right=(attribute model.pt --layer fc1 --neuron 4 --input x.npy)
    cp "$mlp" model.pt
    cp f/mlp.x.npy x.npy
    ln -s model.pt link.pt
    ln x.npy hard.npy
    cksum model.pt x.npy >"$box/sums"
    misused "--output does not overwrite MODEL" "--output './model.pt'*MODEL 'model.pt'" \
        "${right[@]}" --output ./model.pt
    misused "--heatmap does not overwrite MODEL by a link" "--heatmap 'link.pt'*MODEL 'model.pt'" \
        "${right[@]}" --output got.npy --heatmap link.pt
    misused "--output does not overwrite --input, in JSON" \
        "NTAP_ERROR_INVALID_ARGUMENT *--output 'hard.npy'*--input 'x.npy'" \
        "${right[@]}" --output hard.npy --json
    misused "--output does not overwrite an --arg file" "--output 'x.npy'*--arg file 'hard.npy'" \
        attribute "$mlp" --layer fc1 --neuron 4 --input f/mlp.x.npy --arg '[1,(@hard.npy,)]' \
        --output x.npy
    run attribute model.pt --layer fc1 --neuron 4 --input - --output x.npy <hard.npy
    report "--output does not overwrite standard input" \
        "$([ "$status" = 2 ] || echo "exit status $status, expected 2")"
    report "models and inputs are as they were" "$(cksum model.pt x.npy | diff "$box/sums" -)"
}

section_arg_usage() {
    local right=(layers "$mlp" --input f/mlp.x.npy)
    misused "--arg: a malformed number shows where" "--arg 2 (3x), character 1" \
        "${right[@]}" --arg 1 --arg 3x
    misused "--arg: a dictionary's key has a value" "--arg 1*':'" "${right[@]}" --arg '{"k"}' --json
    misused "--arg: text is quoted" "--arg 1 (text)*quotes" "${right[@]}" --arg text
    fails "--arg: a missing file is named" 1 "'no.npy': No such file" "${right[@]}" --arg @no.npy
}

section_layers_tree() {
    works "layers lists a model without running it" layers f/twins.scripted.pt
    prints "layers draws the tree of nested layers" <<'TREE'
forward(Tensor x) -> Tensor

layer                       class
(model)                     Twins
├─ left                     Block
│  ├─ left.lin              Linear
│  └─ left.act              Tanh
├─ right                    Block
│  ├─ right.lin             Linear
│  └─ right.act             Tanh
├─ blocks                   ModuleList
│  ├─ blocks.0              Sequential
│  │  ├─ blocks.0.0         Block
│  │  │  ├─ blocks.0.0.lin  Linear
│  │  │  └─ blocks.0.0.act  Tanh
│  │  └─ blocks.0.1         Block
│  │     ├─ blocks.0.1.lin  Linear
│  │     └─ blocks.0.1.act  Tanh
│  └─ blocks.1              Sequential
│     └─ blocks.1.0         Block
│        ├─ blocks.1.0.lin  Linear
│        └─ blocks.1.0.act  Tanh
└─ heads                    ModuleDict
   ├─ heads.a               Linear
   └─ heads.b               Linear
TREE
    sed 's/├/|/g; s/│/|/g; s/└/`/g; s/─/-/g' "$box/out" >"$box/ascii"
    LC_ALL=C works "layers lists a model in the C locale" layers f/twins.scripted.pt
    prints "layers draws the tree in ASCII in the C locale" <"$box/ascii"

    works "layers --json reads a model from standard input" \
        layers - --json <f/reused.traced.pt
    says "layers --json prints the model, its parameters and its layers" '.model "-"' \
        '.signature "forward(Tensor x) -> Tensor"' '.layers[0].path ""' '.layers[1].path "fc1"' \
        '.layers[1].type "torch.nn.modules.linear.Linear"' '.layers[3].path "fc2"'
    report "layers --json says nothing about calls if the model was not run" \
        "$(grep -e calls -e outputs "$box/json")"
}

section_layers_run() {
    works "B10 layers --input runs a model" layers f/reused.scripted.pt --input f/reused.x.npy
    prints "B10 layers --input shows how often layers are called and what they return" <<'TREE'
forward(Tensor x) -> Tensor

layer    class   calls  output
(model)  Reused      1  float32[3, 3]
├─ fc1   Linear      3  float32[3, 4]
├─ act   ReLU        2  float32[3, 4]
└─ fc2   Linear      1  float32[3, 3]
TREE

    works "layers --input runs a model on an image" layers "$fashion" --input "$boot"
    prints "layers shows the shapes in the example model's README" <<'TREE'
forward(Tensor x) -> Tensor

layer              class        calls  output
(model)            FashionCNN       1  float32[1, 10]
├─ block1          ConvBlock        1  float32[1, 16, 14, 14]
│  ├─ block1.conv  Conv2d           1  float32[1, 16, 28, 28]
│  ├─ block1.norm  BatchNorm2d      1  float32[1, 16, 28, 28]
│  ├─ block1.relu  ReLU             1  float32[1, 16, 28, 28]
│  └─ block1.pool  MaxPool2d        1  float32[1, 16, 14, 14]
├─ block2          ConvBlock        1  float32[1, 32, 7, 7]
│  ├─ block2.conv  Conv2d           1  float32[1, 32, 14, 14]
│  ├─ block2.norm  BatchNorm2d      1  float32[1, 32, 14, 14]
│  ├─ block2.relu  ReLU             1  float32[1, 32, 14, 14]
│  └─ block2.pool  MaxPool2d        1  float32[1, 32, 7, 7]
├─ block3          ConvBlock        1  float32[1, 64, 3, 3]
│  ├─ block3.conv  Conv2d           1  float32[1, 64, 7, 7]
│  ├─ block3.norm  BatchNorm2d      1  float32[1, 64, 7, 7]
│  ├─ block3.relu  ReLU             1  float32[1, 64, 7, 7]
│  └─ block3.pool  MaxPool2d        1  float32[1, 64, 3, 3]
├─ flatten         Flatten          1  float32[1, 576]
├─ dropout         Dropout          1  float32[1, 576]
└─ classifier      Linear           1  float32[1, 10]
TREE

    works "B21 layers --json --input runs a model" \
        layers f/containers.scripted.pt --input f/containers.x.npy --json
    says "B21 layers shows tuples, lists, dictionaries and what is in them" \
        '.layers[0].outputs[0] "{\"out\": float32[3, 4]}"' '.layers[0].calls 1' \
        '.layers[2].outputs[0] "(float32[3, 4], float32[3, 4])"' \
        '.layers[3].outputs[0] "(float32[3, 4],)"' '.layers[4].outputs[0] "[float32[3, 4]]"' \
        '.layers[6].outputs[0] "(float32[3, 4], 3)"' \
        '.layers[8].outputs[0] "(7, [{\"deep\": float32[3, 4]}], \"text\")"'

    works "B11 layers shows layers that do not run" \
        layers f/nevercalled.scripted.pt --input f/nevercalled.x.npy --json
    says "B11 layers shows no calls and no outputs for them" '.layers[2].path "orphan"' \
        '.layers[2].calls 0' '.layers[2].outputs []' '.layers[3].calls 0' '.layers[1].calls 1'

    works "B7 layers --arg passes a number" \
        layers f/while.scripted.pt --input f/while.x.npy --arg 5 --json
    says "B7 layers --arg makes a difference: so many calls" '.layers[1].path "step"' \
        '.layers[1].calls 3' '.layers[1].outputs[0] "float32[3, 4]"' \
        '.layers[1].outputs[2] "float32[3, 4]"'

    works "layers keeps what the model prints off standard output" \
        layers f/prints.scripted.pt --input f/prints.x.npy --json
    says "layers prints nothing but JSON for such a model" '.layers[1].calls 1'

    fails "layers names a missing argument" 1 "'n'" layers f/while.scripted.pt --input f/while.x.npy
    fails "B7 layers names a parameter and shows the --arg of a wrong kind" 1 \
        "NTAP_ERROR_INVALID_ARGUMENT *'scale'*{*k*: 1}" layers f/arguments.scripted.pt \
        --input f/arguments.x.npy --input f/arguments.y.npy --arg '{"k":1}' --json
}

section_values() {
    works "B21 layers --values lists the values of operations, and runs the model" \
        layers f/densenet.scripted.pt --values --input f/densenet.x.npy
    prints "B21 layers --values shows values under the layers that compute them" <<'TREE'
forward(Tensor x) -> Tensor

layer                         class                calls  output
(model)                       DenseNet                 1  float32[2, 3]
├· cat:1                      cat                      1  float32[2, 8, 6, 6]
├· adaptive_avg_pool2d:1      adaptive_avg_pool2d      1  float32[2, 8, 1, 1]
├· flatten:1                  flatten                  1  float32[2, 8]
├─ stem                       Conv2d                   1  float32[2, 2, 6, 6]
├─ layers                     ModuleDict               0  -
│  ├─ layers.dense1           DenseLayer               1  float32[2, 2, 6, 6]
│  │  ├· layers.dense1/cat:1  cat                      1  float32[2, 2, 6, 6]
│  │  ├─ layers.dense1.norm   BatchNorm2d              1  float32[2, 2, 6, 6]
│  │  ├─ layers.dense1.relu   ReLU                     1  float32[2, 2, 6, 6]
│  │  └─ layers.dense1.conv   Conv2d                   1  float32[2, 2, 6, 6]
│  ├─ layers.dense2           DenseLayer               1  float32[2, 2, 6, 6]
│  │  ├· layers.dense2/cat:1  cat                      1  float32[2, 4, 6, 6]
│  │  ├─ layers.dense2.norm   BatchNorm2d              1  float32[2, 4, 6, 6]
│  │  ├─ layers.dense2.relu   ReLU                     1  float32[2, 4, 6, 6]
│  │  └─ layers.dense2.conv   Conv2d                   1  float32[2, 2, 6, 6]
│  └─ layers.dense3           DenseLayer               1  float32[2, 2, 6, 6]
│     ├· layers.dense3/cat:1  cat                      1  float32[2, 6, 6, 6]
│     ├─ layers.dense3.norm   BatchNorm2d              1  float32[2, 6, 6, 6]
│     ├─ layers.dense3.relu   ReLU                     1  float32[2, 6, 6, 6]
│     └─ layers.dense3.conv   Conv2d                   1  float32[2, 2, 6, 6]
└─ fc                         Linear                   1  float32[2, 3]
TREE

    LC_ALL=C works "layers --values lists values in the C locale" \
        layers f/methods.scripted.pt --values
    prints "B21 layers --values shows values inside functions, in ASCII in the C locale" <<'TREE'
forward(Tensor x) -> Tensor

layer                   class
(model)                 Methods
|. encode:1/mul:1       mul
|. encode:1             encode
|. finish:1/scale_by:1  scale_by
|- encoder              Encoder
|  |- encoder.lin       Linear
|  `- encoder.unused    Linear
`- head                 Linear
TREE

    # script has a terminal, where the system has any to give.
    if script -qec true /dev/null >/dev/null 2>&1; then
        command="neurotap layers f/methods.scripted.pt --values"
        script -qec "stty cols 28; '$neurotap' ${command#* }" typescript >"$box/raw" 2>"$box/err"
        status=$?
        tr -d '\r' <"$box/raw" >"$box/out"
        prints "layers gives names lines of their own that are too long for a terminal" <<'TREE'
forward(Tensor x) -> Tensor

layer               class
(model)             Methods
├· encode:1/mul:1   mul
├· encode:1         encode
├· finish:1/scale_by:1
│                   scale_by
├─ encoder          Encoder
│  ├─ encoder.lin   Linear
│  └─ encoder.unused
│                   Linear
└─ head             Linear
TREE
    fi

    if script -qec true /dev/null >/dev/null 2>&1; then
        command="neurotap layers f/cnn.scripted.pt --input f/cnn.x.npy"
        script -qec "stty cols 56; '$neurotap' ${command#* }" typescript >"$box/raw" 2>"$box/err"
        status=$?
        tr -d '\r' <"$box/raw" >"$box/out"
        shows "layers fits names to a terminal before outputs" \
            "conv1   Conv2d                 1  float32\[2, 5, 8, 9\]*avgpool
│          AdaptiveAvgPool2d      1  float32\[2, 6, 1, 1\]"
        script -qec "stty cols 40; '$neurotap' ${command#* }" typescript >"$box/raw" 2>"$box/err"
        tr -d '\r' <"$box/raw" | head -n 7 >"$box/out"
        prints "layers gives outputs lines of their own where a terminal is narrow" <<'TREE'
forward(Tensor x) -> Tensor

layer       class              calls
(model)     Cnn                    1
  float32[2, 4]
├─ conv1    Conv2d                 1
│    float32[2, 5, 8, 9]
TREE
    fi

    works "B11 layers --values --json prints values that are not computed" \
        layers f/nevercalled.scripted.pt --values --input f/nevercalled.x.npy --json
    says "B11 layers --values --json prints values beside the layers" '.layers[1].path "fc"' \
        '.layers[3].path "rare"' '.values[0].name "sum:1"' '.values[0].calls 1' \
        '.values[0].outputs[0] "float32[]"' '.values[2].name "add:1"' '.values[2].calls 0' \
        '.values[2].outputs []'
}

section_frozen() {
    local frozen=d/cnn.frozen.pt
    works "B20 layers lists a frozen model" layers "$frozen"
    prints "B20 layers says where to look if there are no layers" <<'TREE'
forward(Tensor x) -> Tensor

layer    class
(model)  Cnn

This file has no layers (frozen?); its values: neurotap layers --values MODEL
TREE
    works "B20 layers --values runs a frozen model" layers "$frozen" --values --input f/cnn.x.npy
    prints "B20 layers --values shows a frozen model's values" <<'TREE'
forward(Tensor x) -> Tensor

layer                     class                calls  output
(model)                   Cnn                      1  float32[2, 4]
├· conv2d:1               conv2d                   1  float32[2, 5, 8, 9]
├· relu_:1                relu_                    1  float32[2, 5, 8, 9]
├· max_pool2d:1           max_pool2d               1  float32[2, 5, 4, 4]
├· conv2d:2               conv2d                   1  float32[2, 6, 2, 2]
├· relu_:2                relu_                    1  float32[2, 6, 2, 2]
├· adaptive_avg_pool2d:1  adaptive_avg_pool2d      1  float32[2, 6, 1, 1]
└· flatten:1              flatten                  1  float32[2, 6]
TREE
    works "B20 layers --json lists a frozen model" layers "$frozen" --json
    report "B20 layers --json has values if they are wanted only" "$(grep -o values "$box/out")"

    # The weights are those of f/cnn.scripted.pt. Freezing made conv1 and bn1 one convolution.
    gradient "B20 a frozen model's value is that of the layer, bn1" \
        f/cnn.bn1.output.3_2_2.grad.npy "$frozen" --layer conv2d:1 --neuron 3,2,2 \
        --input f/cnn.x.npy
    gradient "B20 a frozen model's value is that of the layer, relu1" \
        f/cnn.relu1.output.0_4_6.grad.npy "$frozen" --layer relu_:1 --neuron 0,4,6 \
        --input f/cnn.x.npy
    gradient "B20 a frozen model's value is that of the layer, conv2" \
        f/cnn.conv2.output.1_0_1.grad.npy "$frozen" --layer conv2d:2 --neuron 1,0,1 \
        --input f/cnn.x.npy
    fails "B20 an unknown value is refused with the nearest names, in JSON" 1 \
        "NTAP_ERROR_NOT_FOUND *'conv2d:3'*'conv2d:2'" attribute "$frozen" --layer conv2d:3 \
        --neuron 1,0,1 --input f/cnn.x.npy --json
}

section_value() {
    local added=(--layer layer1.0/add_:1 --neuron "2,3,3" --input f/resnet.x.npy)
    gradient "B9 B21 what a block adds up, before a ReLU overwrites it" \
        d/resnet.layer1.0.add.2_3_3.grad.npy f/resnet.scripted.pt "${added[@]}"
    shows "B21 attribute names the value" "gradient of layer1.0/add_:1 \[2,3,3\] with respect to"
    gradient "B9 B20 B21 the same of a traced model" d/resnet.layer1.0.add.2_3_3.grad.npy \
        f/resnet.traced.pt "${added[@]}"
    fails "B21 an unknown value is refused with the nearest names" 1 \
        "'layer1.0/add:1'*'layer1.0/add_:1'" attribute f/resnet.scripted.pt \
        --layer layer1.0/add:1 --neuron 2,3,3 --input f/resnet.x.npy --output got.npy
}

section_method() {
    works "layers --method runs another method" \
        layers d/methods.pt --method encode --values --input d/x.npy --arg 3
    prints "layers --method shows that method's parameters and values" <<'TREE'
encode(Tensor x, float factor) -> Tensor

layer      class    calls  output
(model)    Methods      1  float32[2, 3]
├· mul:1   mul          1  float32[2, 3]
└─ square  Square       1  float32[2, 3]
TREE
    works "attribute --method runs another method" attribute d/methods.pt --method encode \
        --layer square --neuron : --input d/x.npy --arg 3 --output got.npy
    holds "attribute --method gives the gradient of 9 x^2" got.npy 0 "<f4 (2, 3)" \
        18 36 54 72 90 108
    works "--method forward is the default" attribute d/methods.pt --method forward \
        --layer square --neuron : --input d/x.npy --output got.npy
    holds "--method forward gives the gradient of x^2" got.npy 0 "<f4 (2, 3)" 2 4 6 8 10 12
    fails "--method: a method that is not there is named" 1 "'decode'" \
        layers d/methods.pt --method decode
}

section_neuron() {
    local x=(--input f/mlp.x.npy) cnn=(f/cnn.traced.pt --input f/cnn.x.npy)
    gradient "B1 an int selects dimension 1" f/mlp.fc1.output.4.grad.npy \
        "$mlp" --layer fc1 --neuron 4 "${x[@]}"
    shows "attribute says what it wrote" "fc1 \[4\] *
  f/mlp.x.npy  float32\[3, 6\]  min -0.3781*  max 0.2938*  sum -1.2645* -> got0.npy"
    fails "B1 an index out of range is refused with the range" 1 "8*'fc1'*-8 to 7" attribute \
        "$mlp" --layer fc1 --neuron 8 "${x[@]}" --output got.npy
    gradient "B2 B20 ints select an element; a traced model" f/cnn.conv1.output.m1_m2_m3.grad.npy \
        "${cnn[@]}" --layer conv1 --neuron -1,-2,-3
    fails "B2 too few ints without a slice are refused" 1 "NTAP_ERROR_SHAPE *'conv1'*expected 3" \
        attribute "${cnn[@]}" --layer conv1 --neuron 1,2 --json
    gradient "B3 a slice sums over a group, and clips" f/mlp.fc1.output.2to100.grad.npy \
        "$mlp" --layer fc1 --neuron 2:100 "${x[@]}"
    gradient "B3 ints and slices mix" f/cnn.conv1.output.to_3_toto2.grad.npy \
        "${cnn[@]}" --layer conv1 --neuron :,3,::2
    fails "B5 a layer value of several tensors is refused" 1 "'lstm'*not a single tensor" \
        attribute f/lstm.scripted.pt --layer lstm --neuron 1 --input f/lstm.x.npy --output got.npy
}

# stacked DIMENSIONS FILE...: .npy files of one shape as text, put together along new dimensions.
stacked() {
    local file
    bash "$data/npy_print.sh" "$2" | sed "s/(/($1, /; q"
    for file in "${@:2}"; do
        bash "$data/npy_print.sh" "$file" | tail -n +2
    done
}

# stacks NAME FILE DIMENSIONS EXPECTED...: FILE has the numbers of the EXPECTED files, stacked.
stacks() {
    report "$1" "$(LC_ALL=C awk -v tolerance=1e-5 -f "$data/compare.awk" \
        <(stacked "${@:3}") <(bash "$data/npy_print.sh" "$2" 2>&1))"
}

section_neurons() {
    local cnn=(f/cnn.traced.pt --layer conv1 --input f/cnn.x.npy)
    local mixed=(--neuron "-1,-2,-3" --neuron ":,3,::2" --neuron "-1,-2,-3")
    local one=f/cnn.conv1.output.m1_m2_m3.grad.npy group=f/cnn.conv1.output.to_3_toto2.grad.npy
    works "B24 several --neuron" attribute "${cnn[@]}" "${mixed[@]}" --output got.npy
    shows "attribute says how many neurons there were" "gradients of 3 neurons of conv1 with*\[3, 2,"
    stacks "B24 several neurons stand in front, in order, repeatedly too" got.npy 3 \
        "$one" "$group" "$one"
    works "--fast-paths off, --memory-limit" attribute "${cnn[@]}" "${mixed[@]}" \
        --fast-paths off --memory-limit 1k --output got.npy
    stacks "--fast-paths off and --memory-limit give the same" got.npy 3 "$one" "$group" "$one"

    works "B24 several neurons and several inputs, in JSON" attribute f/twoinputs.scripted.pt \
        --layer both --neuron 1 --neuron 1 --input f/twoinputs.x.npy --input f/twoinputs.y.npy \
        --output x.npy --output y.npy --json
    says "attribute --json lists the neurons" '.neurons[0] "1"' '.neurons[1] "1"' \
        '.attributions[0].shape[0] 2' '.attributions[1].shape[0] 2'
    report "attribute --json has no single neuron then" "$(grep '^\.neuron ' "$box/json")"
    stacks "B24 several neurons: the first input" x.npy 2 f/twoinputs.both.output.1.grad{0,0}.npy
    stacks "B24 several neurons: the second input" y.npy 2 f/twoinputs.both.output.1.grad{1,1}.npy

    works "--neuron all" attribute d/squares.pt --layer square --neuron all --input d/x.npy \
        --output got.npy
    shows "attribute says that these are all neurons" "gradients of all neurons of square with"
    holds "--neuron all gives the whole Jacobian" got.npy 0 "<f4 (3, 2, 3)" \
        2 0 0 8 0 0 0 4 0 0 10 0 0 0 6 0 0 12
    works "--neuron all of an image's layer, in JSON" attribute d/squares.pt --layer square \
        --neuron all --input d/rgb.png --json
    says "--neuron all puts the layer's dimensions in front" '.neuron "all"' '.neurons[0] "all"' \
        '.attributions[0].shape[0] 18' '.attributions[0].shape[1] 1' '.attributions[0].shape[4] 3'

    fails "B24 of several neurons the wrong one is told" 1 "NTAP_ERROR_SHAPE *8*'fc1'*-8 to 7" \
        attribute "$mlp" --layer fc1 --neuron 4 --neuron 8 --input f/mlp.x.npy --json
    fails "--neuron all of a tuple is refused" 1 "'lstm'*not a single tensor" attribute \
        f/lstm.scripted.pt --layer lstm --neuron all --input f/lstm.x.npy --output got.npy
}

# What is wrong with the numbers of the last run of bench --json.
implausible() {
    LC_ALL=C awk '{ value[$1] = $2 }
        END {
            if (!(value[".prepare_ms"] > 0)) print "prepare_ms is " value[".prepare_ms"]
            else if (!(value[".min_ms"] > 0)) print "min_ms is " value[".min_ms"]
            else if (value[".median_ms"] < value[".min_ms"] + 0 ||
                value[".median_ms"] > value[".max_ms"] + 0) print "the median is no median"
            else if (!(value[".computed"] > 0 && value[".computed"] < 1.001))
                print "computed is " value[".computed"]
            else if (!(value[".forward_passes"] >= 1 && value[".backward_passes"] >= 1))
                print "no passes"
            else if (!(value[".examples_at_once"] >= 1 && value[".neurons_at_once"] >= 1))
                print "nothing at once"
        }' "$box/json"
}

section_bench() {
    local right=(bench "$mlp" --layer fc1 --input f/mlp.x.npy)
    works "bench --json" "${right[@]}" --neuron 4 --neuron 5 --repeat 3 --threads 1 \
        --fast-paths off --json
    says "bench --json describes the call" '.layer "fc1"' '.neurons[0] "4"' '.neurons[1] "5"' \
        '.of "output"' '.threads 1' '.repeat 3' '.fast_path false'
    report "bench --json measures" "$(implausible)"
    works "bench chooses how often to run" bench "$mlp" --layer fc2 --of input --neuron 4 \
        --input f/mlp.x.npy --json
    says "bench --json describes the call by its defaults" '.neuron "4"' '.of "input"'
    report "bench --json measures with all defaults" "$(implausible)"
    report "bench runs 5 to 1000 times" "$(grep '^\.repeat ' "$box/json" |
        awk '$2 < 5 || $2 > 1000')"
    works "bench for people" "${right[@]}" --neuron all --repeat 1
    shows "bench for people says what was measured" \
        "fc1 \[all\], * thread*, 1 run*median* ms*prepare* ms*passes*"

    misused "bench: --repeat is at least 1" "--repeat '0'" "${right[@]}" --neuron 4 --repeat 0
    misused "bench: --neuron must be given" "--neuron is missing" "${right[@]}" --json
    misused "bench writes no files" "'--output'" "${right[@]}" --neuron 4 --output got.npy
    fails "bench: a call that fails is an error, in JSON" 1 "NTAP_ERROR_SHAPE *'fc1'*-8 to 7" \
        "${right[@]}" --neuron 8 --json
}

section_arg() {
    local m=f/arguments.scripted.pt
    local right=("$m" --layer last --neuron 1 --input f/arguments.x.npy --input f/arguments.y.npy)
    gradient "B7 several inputs; --arg true, an int and @file" \
        "f/arguments.last.output.1.offset.grad0.npy f/arguments.last.output.1.offset.grad1.npy" \
        "${right[@]}" --arg 2.0 --arg true --arg 3 --arg @f/arguments.offset.npy
    gradient "B7 --arg 2e0, False, None, text, a list and (1, 0.25) the default" \
        "f/arguments.last.output.1.list.grad0.npy f/arguments.last.output.1.list.grad1.npy" \
        "${right[@]}" --arg 2e0 --arg False --arg 1 --arg None --arg "'mul'" --arg '[.5,1.5, 1]'
    gradient "B7 --arg none, a tuple and a list of files" \
        "f/arguments.last.output.1.tensors.grad0.npy f/arguments.last.output.1.tensors.grad1.npy" \
        "${right[@]}" --arg 2 --arg false --arg +1 --arg none --arg '"mu\u006c"' --arg none \
        --arg '(2,0.5)' --arg '[@f/arguments.e1.npy, @"f/arguments.e2.npy",@f/arguments.whole.npy]'

    works "B7 --arg passes dictionaries" attribute d/dictionaries.pt --layer scale --neuron 1 \
        --input d/x.npy --arg '{"\u00e9\t": 2.5, "other": 1}' --arg '{-7: @d/weights.npy}' \
        --output got.npy
    holds "B7 what is in a dictionary counts" got.npy 0 "<f4 (2, 3)" 0 10 0 0 10 0

    fails "B7 more arguments than parameters are refused" 1 "too many arguments" \
        attribute "$mlp" --layer fc1 --neuron 0 --input f/mlp.x.npy --arg 1 --output got.npy
}

section_layer() {
    local reused=(f/reused.scripted.pt --layer fc1 --input f/reused.x.npy)
    gradient "B8 --of input" f/mlp.fc2.input.m3.grad.npy \
        "$mlp" --layer fc2 --of input --neuron -3 --input f/mlp.x.npy
    shows "B8 attribute says that it was the input" "gradient of fc2's input \[-3\] with respect to"
    gradient "B8 the model itself is a layer; --of output" f/mlp.model.output.2.grad.npy \
        "$mlp" --layer '' --of output --neuron 2 --input f/mlp.x.npy
    gradient "B10 the last call by default" f/reused.fc1.output.1.grad.npy "${reused[@]}" --neuron 1
    gradient "B10 --call 1" f/reused.fc1.output.3.call1.grad.npy "${reused[@]}" --neuron 3 --call 1
    fails "B10 a call that does not exist is refused with their number" 1 "call 4*'fc1'*3 times" \
        attribute "${reused[@]}" --neuron 1 --call 4 --output got.npy
    fails "B11 an unknown layer is refused with the nearest names" 1 "'fc11'*'fc1'" \
        attribute "$mlp" --layer fc11 --neuron 0 --input f/mlp.x.npy --output got.npy
    fails "B11 where no name is near, the command that lists them is told" 1 \
        "'xyz' not found; 'neurotap layers --values MODEL' lists*" \
        attribute "$mlp" --layer xyz --neuron 0 --input f/mlp.x.npy --output got.npy
    fails "B8 (model) is no path, and the path is told" 1 "'(model)' not found*--layer ''" \
        attribute "$mlp" --layer '(model)' --neuron 2 --input f/mlp.x.npy --output got.npy
    fails "B11 a layer that never runs is refused, in JSON" 1 "NTAP_ERROR_NOT_FOUND *'orphan'" \
        attribute f/nevercalled.scripted.pt --layer orphan --neuron 1 \
        --input f/nevercalled.x.npy --json
}

section_model() {
    local two=(--neuron 1 --input f/twoinputs.x.npy --input f/twoinputs.y.npy)
    gradient "B6 B14 the sum over examples, in float64" \
        f/cnn_f64.conv2.output.5_1_0.batch5.grad.npy \
        f/cnn_f64.traced.pt --layer conv2 --neuron 5,1,0 --input f/cnn_f64.x5.npy
    gradient "B16 the same on three replicas" f/cnn_f64.conv2.output.5_1_0.batch5.grad.npy \
        f/cnn_f64.traced.pt --layer conv2 --neuron 5,1,0 --input f/cnn_f64.x5.npy \
        --device cpu,cpu,cpu --threads 3
    fails "B16 a replica's device that is not there is refused, and which one" 1 \
        "--device*cuda:99" attribute f/cnn_f64.traced.pt --layer conv2 --neuron 5,1,0 \
        --input f/cnn_f64.x5.npy --device cpu,cuda:99 --output got.npy
    gradient "B14 complex numbers" f/complex.parts.output.2.grad.npy \
        f/complex.scripted.pt --layer parts --neuron 2 --input f/complex.z.npy
    shows "B14 attribute sums complex numbers up and does not order them" \
        "complex64\[3, 4\]  sum 0.8726*-1.2276*i -> got0.npy"
    fails "B14 an input of integers is refused" 1 "NTAP_ERROR_DTYPE *int64*additional argument" \
        attribute "$mlp" --layer fc1 --neuron 1 --input f/mlp.i.npy --json
    fails "what the model raises before the layer is passed on" 1 \
        "NTAP_ERROR_MODEL *negative input" \
        attribute f/raises.scripted.pt --layer fc2 --neuron 1 --input f/raises.neg.npy --json
    fails "B23 an input without influence is refused, and which one" 1 "inputs\[1\]" \
        attribute f/twoinputs.scripted.pt --layer a "${two[@]}" --output a.npy --output b.npy
    gradient "B23 --unused zero" \
        "f/twoinputs.a.output.1.zero.grad0.npy f/twoinputs.a.output.1.zero.grad1.npy" \
        f/twoinputs.scripted.pt --layer a "${two[@]}" --unused zero
    fails "--device: a GPU that is not there is refused, and named" 1 "--device: *cuda:99" \
        attribute d/squares.pt --layer square --neuron : --input d/rgb.png --device cuda:99 \
        --output got.npy
}

# The bytes behind the header of a .npy file, in hexadecimal.
hex() { od -An -v -tx1 "$1" | tr -d ' \n'; }

section_files() {
    local two=(f/twoinputs.scripted.pt --layer both --neuron 1 --input f/twoinputs.x.npy
        --input f/twoinputs.y.npy --threads 1)
    cksum f/twoinputs.x.npy f/twoinputs.y.npy >"$box/inputs"
    gradient "--device cpu, --threads 1, several outputs" \
        "f/twoinputs.both.output.1.grad0.npy f/twoinputs.both.output.1.grad1.npy" \
        "${two[@]}" --device cpu
    works "--output writes .pt and .npy by name" attribute "${two[@]}" \
        --output got.pt --output got1_again.npy
    report "B25 the same bits again" "$(cmp got1.npy got1_again.npy 2>&1)"
    report "--output FILE.pt is a zip archive with the same bits" "$(
        archive=$(hex got.pt) numbers=$(hex got0.npy)
        [[ $archive == 504b0304*"${numbers:256}"* ]] || echo "it is not"
    )"
    report "B13 input files stay as they are" \
        "$(cksum f/twoinputs.x.npy f/twoinputs.y.npy | diff "$box/inputs" -)"

    works "--input and --arg read .pt files" attribute d/dictionaries.pt --layer scale --neuron : \
        --input got.pt --arg '{"é\t":2}' --arg '{-7:@got.pt}' --output twice.npy
    report ".pt files have the numbers that were written" "$(
        bash "$data/npy_print.sh" got0.npy |
            LC_ALL=C awk 'NR == 1 { print } NR > 1 { printf "%.9g\n", 2 * $0 }' >expected.txt
        LC_ALL=C awk -v tolerance=1e-6 -f "$data/compare.awk" \
            expected.txt <(bash "$data/npy_print.sh" twice.npy)
    )"

    run attribute d/squares.pt --layer square --neuron : --input - --output - < <(cat d/x.npy)
    report "'-' reads standard input and writes standard output" \
        "$([ "$status" = 0 ] || echo "exit status $status, expected 0")"
    cp "$box/out" got.npy
    holds "--output - writes nothing but the .npy" got.npy 0 "<f4 (2, 3)" 2 4 6 8 10 12
    cp "$box/err" "$box/out"
    prints "--output - leaves the summary to standard error" <<'TEXT'
gradient of square [:] with respect to
  standard input  float32[2, 3]  min 2  max 12  sum 42 -> standard output
TEXT

    works "MODEL '-' and --json" attribute - --layer square --neuron 0:2 --input d/x.npy \
        --of input --output got.npy --json <d/squares.pt
    says "attribute --json describes the call and its result" '.model "-"' '.layer "square"' \
        '.neuron "0:2"' '.of "input"' '.inputs[0].file "d/x.npy"' '.inputs[0].shape[0] 2' \
        '.inputs[0].shape[1] 3' '.inputs[0].dtype "float32"' '.attributions[0].output "got.npy"' \
        '.attributions[0].shape[0] 2' '.attributions[0].shape[1] 3' \
        '.attributions[0].dtype "float32"' '.attributions[0].min 0.0' '.attributions[0].max 1.0' \
        '.attributions[0].sum 4.0' '.heatmap null'
    holds "--json does not keep --output from being written" got.npy 0 "<f4 (2, 3)" 1 1 0 1 1 0
}

# The gradient of all of d/squares.pt is twice its input.
# shellcheck disable=SC2046,SC2086 # lists of numbers
section_images() {
    local squares=(attribute d/squares.pt --layer square --neuron : --output got.npy)
    local colours="200 40 40 40 40 200" planes
    works "a PNG image is an input" "${squares[@]}" --input d/rgb.png
    holds "a PNG image is [1, C, H, W] from 0 to 1, red first" got.npy 1e-6 "<f4 (1, 3, 2, 3)" \
        $(doubled 0 1 0 45 90 135 180 225 15 60 105 150 195 240 30 75 120 165 210 255)

    works "PNG images with a palette, alpha and 16 bits are inputs" "${squares[@]}" \
        --output got_gray.npy --input d/palette_alpha.png --input d/gray16.png
    holds "a palette gives colours, alpha is left out" got.npy 1e-6 "<f4 (1, 3, 1, 3)" \
        $(doubled 0 1 0 255 10 102 0 20 204 51 30)
    # 1000 of 65535 are 3.891... of 255.
    holds "16 bits keep their precision" got_gray.npy 1e-6 "<f4 (1, 1, 1, 4)" \
        $(doubled 0 1 0 3.89105058 128 255)

    # Two blocks of 64 pixels in each channel.
    planes=$(for value in $colours; do printf "$value %.0s" {1..64}; done)
    works "a JPEG image is an input; one --mean and --std" "${squares[@]}" --input d/rgb.jpg \
        --mean .5 --std 0.25
    holds "a JPEG image is normalised by --mean and --std" got.npy 0.02 "<f4 (1, 3, 16, 8)" \
        $(doubled .5 .25 $planes)

    planes=$(for value in 64 192; do printf "$value %.0s" {1..64}; done)
    works "a gray JPEG image is an input; --mean and --std for each channel" "${squares[@]}" \
        --input d/gray.jpg --mean .485,.456,.406 --std .229,.224,.225
    holds "three means make a gray image three channels" got.npy 0.02 "<f4 (1, 3, 16, 8)" \
        $(doubled .485 .229 $planes) $(doubled .456 .224 $planes) $(doubled .406 .225 $planes)

    works "a gray image with three numbers of --std" "${squares[@]}" --input d/gray.jpg \
        --std .229,.224,.225
    holds "three numbers of --std make a gray image three channels" got.npy 0.02 \
        "<f4 (1, 3, 16, 8)" $(doubled 0 .229 $planes) $(doubled 0 .224 $planes) \
        $(doubled 0 .225 $planes)

    tolerance=1e-4 gradient "--size S resizes the shorter edge, the other one rounds down" \
        d/wide_3x4.npy d/squares.pt --layer square --neuron : --input d/wide.png --size 3
    tolerance=1e-4 gradient "--size H,W resizes exactly, smaller and larger" \
        d/wide_8x6.npy d/squares.pt --layer square --neuron : --input d/wide.png --size 8,6

    fails "--size without an image is refused" 1 "--size" \
        layers d/squares.pt --input d/x.npy --size 3
    fails "--mean of another number of channels is refused" 1 "'d/rgb.png'*--mean*2*3 channels" \
        layers d/squares.pt --input d/rgb.png --mean .5,.5
}

# png_size FILE: width and height; fails if it is no PNG.
png_size() {
    local bytes
    read -ra bytes < <(od -An -v -tu1 -N24 "$1" | tr -s '\n' ' ')
    [ "${bytes[*]:0:8}" = "137 80 78 71 13 10 26 10" ] || return
    echo $((bytes[18] * 256 + bytes[19])) $((bytes[22] * 256 + bytes[23]))
}

# plausible NAME FILE: a PNG with two panels beside each other, and something on them.
plausible() {
    local size problem="not a PNG file" bytes
    if size=$(png_size "$2"); then
        bytes=$(wc -c <"$2")
        problem=
        read -r width height <<<"$size"
        if ((width < 672 || width > 1000 || height < 336 || height > 600)); then
            problem="$width x $height pixels, expected two panels of 336 x 336"
        elif ((bytes < 8000 || bytes > 300000)); then
            problem="$bytes bytes"
        fi
    fi
    report "$1" "$problem"
}

section_heatmap() {
    export ASAN_OPTIONS="malloc_context_size=8:$asan_options" LSAN_OPTIONS=$drawing_leaks
    works "--heatmap beside --output and --json" attribute "$fashion" --layer block3.conv \
        --neuron 21,4,3 --input "$boot" --heatmap map.png --output grad.npy --json
    says "attribute --json names the heatmap and the output" '.heatmap "map.png"' \
        '.attributions[0].output "grad.npy"' '.attributions[0].shape[3] 28'
    plausible "--heatmap writes a PNG of a plausible size" map.png

    run attribute "$fashion" --layer classifier --neuron 9 --input "$boot" --heatmap -
    report "--heatmap - succeeds" "$([ "$status" = 0 ] || echo "exit status $status")"
    cp "$box/out" other.png
    plausible "--heatmap - writes the PNG to standard output" other.png
    report "heat maps of two neurons differ" \
        "$(cmp map.png other.png 2>&1 | grep -q differ || echo "they do not")"

    works "--heatmap draws numbers that are no image" attribute f/cnn.scripted.pt --layer conv1 \
        --neuron 2,5,7 --input f/cnn.x.npy --heatmap numbers.png
    shows "attribute says that it wrote a heatmap" "heatmap -> numbers.png"
    fails "--heatmap of another shape is refused" 1 "--heatmap*'f/mlp.x.npy'*float32\[3, 6\]" \
        attribute "$mlp" --layer fc1 --neuron 4 --input f/mlp.x.npy --heatmap map2.png \
        --output grad2.npy
}

section_bad_models() {
    head -c -1 "$mlp" >short.pt
    fails "a missing model is named, on one line" 1 "'no such.pt': No such file" \
        layers $'no\nsuch.pt'
    fails "a model that lacks its last byte is refused" 1 "NTAP_ERROR_FILE *'short.pt'" \
        layers short.pt --json
    fails "a state_dict is no model" 1 "'f/notscript.state_dict.pt'*torch.save" \
        layers f/notscript.state_dict.pt
    fails "an empty standard input is no model, and is named" 1 "standard input" layers -
    if [ "$(id -u)" != 0 ]; then # who may read everything
        cp "$mlp" secret.pt
        chmod 0 secret.pt
        fails "a model that may not be read is refused" 1 "'secret.pt': Permission denied" \
            layers secret.pt
    fi
}

section_bad_inputs() {
    local right=(attribute "$mlp" --layer fc1 --neuron 4 --output got.npy)
    head -c 60 d/rgb.png >half.png
    head -c 250 d/rgb.jpg >half.jpg
    fails "a missing input is named, in JSON" 1 "NTAP_ERROR_FILE *'no.npy': No such" \
        "${right[@]}" --input no.npy --json
    fails "a text is no input" 1 "'f/cases.json'*.npy" "${right[@]}" --input f/cases.json
    fails "an empty standard input is no input, and is named" 1 "@(standard input|/dev/stdin)" \
        "${right[@]}" --input -
    fails "half a PNG image is refused" 1 "'half.png'" "${right[@]}" --input half.png
    fails "half a JPEG image is refused" 1 "'half.jpg'" "${right[@]}" --input half.jpg
    fails "a JPEG image in CMYK is refused" 1 "'d/cmyk.jpg'*CMYK" "${right[@]}" --input d/cmyk.jpg
}

section_outputs() {
    local right=(attribute "$mlp" --layer fc1 --neuron 4 --input f/mlp.x.npy)
    local two=(attribute f/twoinputs.scripted.pt --layer both --neuron 1 --input f/twoinputs.x.npy
        --input f/twoinputs.y.npy)
    fails "a full disk is an error, in JSON" 1 "NTAP_ERROR_FILE *'/dev/full': No space" \
        "${right[@]}" --output /dev/full --json
    stdout=/dev/full fails "a full standard output is an error" 1 "standard output: No space" \
        "${right[@]}" --output -
    TMPDIR=/nonexistent run "${right[@]}" --output -
    report "a missing temporary folder is named" "$(grep -vF "temporary file in '/nonexistent'" \
        "$box/err")$([ "$status" = 1 ] || echo "exit status $status, expected 1")"
    works "a file name may have control characters" "${right[@]}" --output $'odd\e[1m\n.npy'
    shows "control characters in file names do not reach the terminal" "-> odd \[1m .npy"
    fails "B26 a second output that fails leaves no first" 1 "'no/b.npy'" \
        "${two[@]}" --output a.npy --output no/b.npy
    echo old >old.npy
    fails "B26 a heatmap that fails is an error" 1 "'no/map.png'" attribute "$fashion" \
        --layer classifier --neuron 9 --input "$boot" --output old.npy --heatmap no/map.png
    report "B26 a heatmap that fails leaves the file that --output would have replaced" \
        "$([ "$(<old.npy)" = old ] || echo "it was overwritten")"

    chmod 640 old.npy
    ln -s old.npy link.npy
    works "an existing file is replaced" "${right[@]}" --output link.npy
    report "a replaced file keeps its permissions" \
        "$(stat -c %a old.npy | grep -vx 640)$(difference f/mlp.fc1.output.4.grad.npy old.npy)"
    report "a link to a replaced file stays a link" "$([ -L link.npy ] || echo "it is a file")"
}

# interrupted NAME SIGNAL: the program waits for a reader of its second output, its first one not
# yet in place, and gets a signal.
interrupted() {
    local name=$1 signal=$2 program problem="" i
    command="neurotap attribute ... --output first.npy --output pipe"
    rm -f pipe
    mkfifo pipe
    env --default-signal="$signal" "$neurotap" attribute f/twoinputs.scripted.pt --layer both \
        --neuron 1 --input f/twoinputs.x.npy --input f/twoinputs.y.npy \
        --output first.npy --output pipe >"$box/out" 2>"$box/err" &
    program=$!
    for ((i = 0; i < 600; ++i)); do
        compgen -G "$TMPDIR/.neurotap-*" >/dev/null && break
        sleep 0.05
    done
    sleep 0.3 # for it to write that file, and to wait
    kill -s "$signal" "$program" 2>/dev/null || problem="it did not wait for a reader of its output"
    { wait "$program"; } 2>/dev/null
    status=$?
    if [ -z "$problem" ] && [ "$status" != $((128 + $(kill -l "$signal"))) ]; then
        problem="exit status $status, expected that of SIG$signal"
    elif [ -z "$problem" ] && files | grep -q -e '^\.neurotap' -e '^first'; then
        problem="files were left: $(files | tr '\n' ' ')"
    fi
    report "$name" "$problem"
    rm -f pipe
}

section_signals() {
    interrupted "B26 Ctrl-C leaves neither an output nor a temporary file" INT
    mkfifo pipe
    timeout 20 cat pipe >got.npy &
    works "a pipe can be an output" attribute d/squares.pt --layer square --neuron : \
        --input d/x.npy --output pipe
    wait
    holds "a pipe's reader gets the .npy" got.npy 0 "<f4 (2, 3)" 2 4 6 8 10 12
}

# Work of seconds: thousands of neurons, one by one.
long=(attribute "$fashion" --layer block2.conv --neuron all --input "$boot" --fast-paths off
    --memory-limit 1)

# catches_interrupt PROCESS: whether it is the program by now, no more the shell that starts it, and
# catches SIGINT.
catches_interrupt() {
    LC_ALL=C awk '$1 == "Name:" { name = $2 } $1 == "SigCgt:" { last = substr($2, length($2)) }
        END { exit !(name == "neurotap" && last ~ /[2367abef]/) }' "/proc/$1/status" 2>/dev/null
}

section_interrupt() {
    local program i problem=
    command="neurotap ${long[*]} --output got.npy"
    env --default-signal=INT "$neurotap" "${long[@]}" --output got.npy >"$box/out" 2>"$box/err" &
    program=$!
    for ((i = 0; i < 3000; ++i)); do
        catches_interrupt "$program" && break
        sleep 0.02
    done
    kill -s INT "$program" 2>/dev/null || problem="it had ended already"
    { wait "$program"; } 2>/dev/null
    status=$?
    if [ -z "$problem" ] && [ "$status" != 130 ]; then
        problem="exit status $status, expected that of SIGINT"
    elif [ -z "$problem" ] && [ "$(<"$box/err")" != "neurotap: interrupted" ]; then
        problem="the message is not 'neurotap: interrupted'"
    elif [ -s "$box/out" ]; then
        problem="there is something on standard output"
    elif files | grep -q -e '^\.neurotap' -e '^got'; then
        problem="files were left: $(files | tr '\n' ' ')"
    fi
    report "B26 Ctrl-C stops long work, with one line and no files" "$problem"
}

section_progress() {
    works "B26 long work without a terminal is silent on standard error" \
        "${long[@]}" --output got.npy
    if script -qec true /dev/null >/dev/null 2>&1; then
        command="neurotap ${long[*]} --json"
        script -qec "stty cols 80; '$neurotap' ${long[*]} --json >json.txt" typescript >"$box/raw"
        status=$?
        tr '\r' '\n' <"$box/raw" >"$box/out"
        shows "B26 long work shows its progress on a terminal" \
            " of 6272 gradients *%  *:* left  */s  \[*\]"
        report "the progress fits the terminal" "$(grep -E '.{80}' "$box/out")"
        report "the progress disappears" "$(tail -n 1 "$box/out" | grep '[^ ]')"
        cp json.txt "$box/out"
        says "the progress is not in the result" '.attributions[0].shape[2] 14'
    fi
}

# --- All of it, as many sections at a time as there are processors

all_sections=(help layers_usage attribute_values attribute_usage overwriting arg_usage layers_tree
    layers_run values frozen value method neuron neurons bench arg layer model files images heatmap
    bad_models bad_inputs outputs signals interrupt progress)

run_section() {
    box=$folder/$1
    export TMPDIR=$box/tmp
    mkdir -p "$box/work" "$TMPDIR"
    cd "$box/work" || exit
    ln -s "$fixtures" f
    ln -s "$data" d
    ln -s "$examples" e
    declare -F "section_$1" >/dev/null || exit
    "section_$1" </dev/null
    command="section $1"
    report "$1: no temporary file is left" "$(files | grep '^\.neurotap')"
}

if [ $# = 0 ]; then
    set -- "${all_sections[@]}"
fi
workers=$(nproc)
for section in "$@"; do
    while [ "$(jobs -rp | wc -l)" -ge "$workers" ]; do
        wait -n
    done
    run_section "$section" >"$folder/$section.log" 2>&1 &
done
wait

for section in "$@"; do
    cat "$folder/$section.log"
    grep -q "ok $section: no temporary file is left" "$folder/$section.log" ||
        echo "not ok $section: it stopped before its end"
done >"$folder/all.log"
cat "$folder/all.log"
passed=$(grep -c '^ok ' "$folder/all.log")
failed=$(grep -c '^not ok ' "$folder/all.log")
echo "$passed passed, $failed failed"
[ "$failed" = 0 ] && [ "$passed" != 0 ]
