#include "help.h"

const char help_program[] =
    "neurotap - which pixels drive this neuron? Gradients inside TorchScript models.\n"
    "\n"
    "Usage:\n"
    "  neurotap layers MODEL [option...]      list a model's layers\n"
    "  neurotap attribute MODEL [option...]   gradient of a neuron in any layer with\n"
    "                                         respect to the model's inputs\n"
    "  neurotap bench MODEL [option...]       how long that takes for your model\n"
    "  neurotap COMMAND --help                all about a command\n"
    "  neurotap --version\n"
    "\n"
    "MODEL is a file that torch.jit.script(...).save or torch.jit.trace(...).save\n"
    "wrote. Python is not needed.\n"
    "\n"
    "Example:\n"
    "  neurotap layers model.pt --input dog.jpg --size 224,224\n"
    "  neurotap attribute model.pt --layer layer2.0.conv1 --neuron 5,14,14 \\\n"
    "      --input dog.jpg --size 224,224 --output grad.npy --heatmap grad.png\n"
    "\n"
    "Exit status: 0 success, 1 the work failed, 2 wrong command line. Errors are one\n"
    "line on standard error.\n";

const char help_layers[] =
    "neurotap layers - list the layers of a TorchScript model\n"
    "\n"
    "Usage: neurotap layers MODEL [--input FILE...] [--arg V...] [option...]\n"
    "\n"
    "Prints the model's parameters and the tree of its layers: path and class. Given\n"
    "inputs, it runs the model and adds how often each layer is called and what it\n"
    "returns. The paths are what 'neurotap attribute --layer' takes; (model) stands\n"
    "for the model itself, whose path is empty: --layer ''.\n"
    "\n"
    "This run records no gradients. Attention layers test for that: under 'neurotap\n"
    "attribute' they may call other layers and operations.\n"
    "\n"
    "  MODEL            TorchScript file; '-' is standard input\n"
    "  --values         list the values of operations too, with a dot, under the\n"
    "                   layer whose code computes them: 'layer1.0/add:1' is the first\n"
    "                   addition in layer1.0. --layer takes them as it takes layers;\n"
    "                   files without layers (frozen ones) have them as well\n"
    "  --method NAME    the method that runs the model, instead of forward\n"
    "  --input FILE     model input: .npy, .pt (a saved tensor), PNG or JPEG; repeat\n"
    "                   it for several inputs, in order; '-' is standard input (.npy)\n"
    "  --arg V          argument behind the inputs; repeatable: 3, 2.5, none,\n"
    "                   true, '\"text\"', '[1,2]', '(1,2.0)', '{\"k\":1}', @file.npy\n"
    "  --size S | H,W   resize images: shorter edge to S, or exactly to H,W pixels\n"
    "  --mean M[,M...]  subtract from images (values 0 to 1), one or one per channel;\n"
    "                   three, or three of --std, make a gray image three channels\n"
    "  --std S[,S...]   then divide by\n"
    "  --json           machine-readable; errors as one line of JSON on standard\n"
    "                   error\n"
    "  --help           this text\n"
    "\n"
    "Examples:\n"
    "  neurotap layers model.pt\n"
    "  neurotap layers frozen.pt --values --input x.npy\n"
    "  neurotap layers model.pt --input dog.jpg --size 224,224\n"
    "  neurotap layers model.pt --input x.npy --arg 3 --json\n";

/* What the commands that attribute share. */
#define HELP_WHAT                                                                                  \
    "What:\n"                                                                                      \
    "  MODEL            TorchScript file; '-' is standard input\n"                                 \
    "  --layer PATH     as 'neurotap layers' lists it; '' is the model itself. Or a\n"             \
    "                   value: 'layer1.0/add:1', as 'neurotap layers --values' does\n"             \
    "  --neuron SEL     element of the layer's output, without the batch dimension: 4\n"           \
    "                   or 4,1,2; slices sum a group: 0:2  :,3,::2  4,: ; -1 is last;\n"           \
    "                   repeat it for several neurons; 'all' is every single one\n"                \
    "  --of SIDE        output of the layer (default), or its input\n"                             \
    "  --call N         which of several calls: 1, 2, ... or -1, the last (default)\n"             \
    "  --unused HOW     input without influence: error (default), or zero\n"                       \
    "Inputs (dimension 0 is the batch):\n"                                                         \
    "  --input FILE     .npy, .pt (a saved tensor), PNG or JPEG (float32 [1,C,H,W], 0\n"           \
    "                   to 1); repeat it for several; '-' is standard input (.npy)\n"              \
    "  --arg V          argument behind the inputs; repeatable: 3, 2.5, none,\n"                   \
    "                   true, '\"text\"', '[1,2]', '(1,2.0)', '{\"k\":1}', @file.npy\n"            \
    "  --size S | H,W   resize images: shorter edge to S, or exactly to H,W pixels\n"              \
    "  --mean M[,M...]  subtract from images, one number or one per channel;\n"                    \
    "                   three, or three of --std, make a gray image three channels\n"              \
    "  --std S[,S...]   then divide by\n"

#define HELP_RUNNING                                                                               \
    "Running:\n"                                                                                   \
    "  --method NAME    the method that runs the model, instead of forward\n"                      \
    "  --device DEV     cpu (default), cuda or cuda:1; several, such as cuda:0,cuda:1\n"           \
    "                   or cpu,cpu: each does a part of the batch\n"                               \
    "  --threads N      CPU threads, 1 to 256, which several cpu devices share;\n"                 \
    "                   libtorch's choice by default, often one per core\n"                        \
    "  --memory-limit BYTES\n"                                                                     \
    "                   for several neurons or examples at once, such as 512M or 2G;\n"            \
    "                   fewer go at once then. Results do not count\n"                             \
    "  --fast-paths P   auto (default), or off: libtorch's autograd does everything\n"             \
    "  --help           this text\n"

const char help_attribute[] =
    "neurotap attribute - gradient of neurons with respect to the model's inputs\n"
    "\n"
    "Usage: neurotap attribute MODEL --layer PATH --neuron SEL... --input FILE...\n"
    "                [--output FILE...] [--heatmap FILE.png] [--json] [option...]\n"
    "\n" HELP_WHAT "Results:\n"
    "  --output FILE    the gradient as .npy, or .pt by its name; once per input, in\n"
    "                   order; '-' is standard output. Of the input's shape; several\n"
    "                   neurons add a dimension in front, 'all' adds the layer's\n"
    "  --heatmap FILE   PNG: the first input beside its gradient in colour; for one\n"
    "                   neuron\n"
    "  --json           machine-readable summary; errors as one line of JSON on\n"
    "                   standard error\n" HELP_RUNNING "\n"
    "Long work shows its progress on a terminal. Ctrl-C ends it and leaves no files.\n"
    "\n"
    "Examples:\n"
    "  neurotap attribute m.pt --layer fc --neuron 4 --input x.npy --output grad.npy\n"
    "  neurotap attribute m.pt --layer fc --neuron all --input x.npy --output all.npy\n"
    "  neurotap attribute m.pt --layer layer2.0.conv1 --neuron 5,14,14 \\\n"
    "      --input dog.jpg --size 224,224 --heatmap grad.png \\\n"
    "      --mean .485,.456,.406 --std .229,.224,.225\n";

const char help_bench[] =
    "neurotap bench - how long the gradient of neurons takes\n"
    "\n"
    "Usage: neurotap bench MODEL --layer PATH --neuron SEL... --input FILE...\n"
    "                [--repeat N] [--json] [option...]\n"
    "\n"
    "Loads the model and the inputs once, warms up, and then times what 'neurotap\n"
    "attribute' does with them. Prints the median, shortest and longest time, how\n"
    "long it took to prepare, and by which means the gradients were computed.\n"
    "\n" HELP_WHAT "Measuring:\n"
    "  --repeat N       runs that count; as many as fit in about 2 seconds by\n"
    "                   default, from 5 to 1000\n"
    "  --json           machine-readable; errors as one line of JSON on standard\n"
    "                   error\n" HELP_RUNNING "\n"
    "Examples:\n"
    "  neurotap bench m.pt --layer layer2.0.conv1 --neuron 5,14,14 --input x.npy\n"
    "  neurotap bench m.pt --layer fc --neuron all --input x.npy --fast-paths off\n";
