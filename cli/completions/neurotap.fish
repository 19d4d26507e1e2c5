# fish completion for neurotap(1)

set -l any layers attribute bench
set -l attributing attribute bench
set -l when -n "not __fish_seen_subcommand_from $any"

complete -c neurotap $when -f
complete -c neurotap $when -a layers -d "List a model's layers"
complete -c neurotap $when -a attribute -d "Gradient of a neuron"
complete -c neurotap $when -a bench -d "How long that takes"
complete -c neurotap $when -l version -d "Show versions"
complete -c neurotap -s h -l help -d "Show help"

set when -n "__fish_seen_subcommand_from $any"
complete -c neurotap $when -l input -r -d "Model input; repeat it for several"
complete -c neurotap $when -l arg -x -d "Argument behind the inputs"
complete -c neurotap $when -l size -x -d "Resize images: S or H,W"
complete -c neurotap $when -l mean -x -d "Subtract from images"
complete -c neurotap $when -l std -x -d "Then divide by"
complete -c neurotap $when -l method -x -d "Run this method instead of forward"
complete -c neurotap $when -l json -d "Machine-readable output"
complete -c neurotap -n "__fish_seen_subcommand_from layers" -l values -d "List the values of operations too"

set when -n "__fish_seen_subcommand_from $attributing"
complete -c neurotap $when -l layer -x -d "The layer or value"
complete -c neurotap $when -l neuron -x -d "The neuron; repeat it for several"
complete -c neurotap $when -l of -x -a "output input" -d "Side of the layer"
complete -c neurotap $when -l call -x -d "Which of several calls"
complete -c neurotap $when -l unused -x -a "error zero" -d "If an input has no influence"
complete -c neurotap $when -l device -x -a "cpu cuda" -d "Where to compute"
complete -c neurotap $when -l threads -x -d "Number of CPU threads"
complete -c neurotap $when -l memory-limit -x -d "Memory for what goes at once"
complete -c neurotap $when -l fast-paths -x -a "auto off" -d "How gradients are computed"
complete -c neurotap -n "__fish_seen_subcommand_from attribute" -l output -r -d "Write the gradient"
complete -c neurotap -n "__fish_seen_subcommand_from attribute" -l heatmap -r -d "Draw input and gradient"
complete -c neurotap -n "__fish_seen_subcommand_from bench" -l repeat -x -d "Runs that count"
