"""neurotap's benchmark: neuron gradients, against captum and against libtorch by hand.

    make bench                                  # everything: about a quarter of an hour
    make bench BENCH_ARGS='--quick'             # small models and resnet18: two minutes
    python3 bench/run.py --only 'resnet18/*' --threads 2 --json results.json

The peers are in peers.py: captum, called as its documentation does, on the model in Python (left
out if `import captum` fails; it is not in Debian, so point PYTHONPATH to a checkout of it); and
libtorch_peer.cpp, the same job written by hand for a model that was exported up to the layer. All
run in this one process, on the same libtorch, weights, input and threads, each once per round, in
alternating order. The table shows medians over the rounds. "×captum" says how many times as long
as neurotap captum takes.

Calls are warm: files are loaded, libtorch has compiled what it compiles. 64 neurons are 64 channels
at one place of an image, or units of a dense layer, or as many as there are; neurotap takes them in
one call, libtorch in one forward and a loop of backward passes, captum in a loop over calls. Where
such a loop takes more than a second, its first neurons are measured (captum 2, libtorch 6) and the
time of a loop pass is multiplied: such times are marked ~. Memory: see memory.py.

libtorch multiplies matrices by whatever BLAS the system offers. Debian's default is the reference
implementation, with which large dense layers take several times as long, for all peers alike;
`apt install libopenblas0` replaces it. The first line of the output says which one it was.

The JSON has everything that was measured: besides the table the quartiles, how far the gradients
are from captum's, and neurotap's own report. In deep models differences of some percent are
float32's rounding: a ReLU close to 0 falls on either side, and captum is as far from float64's
gradients. growth.py plots how time grows with neurons, batch and image size.
"""

import argparse
import gc
import json
import os
import platform
import sys
import time
from itertools import groupby
from pathlib import Path

import torch

import table
from cases import select
from measure import differences, measure
from memory import peak_memory
from models import ModelFiles, example_input
from peers import Workshop, blas, captum_version, set_threads

SUSPICIOUS = 1e-3  # difference from captum, relative to the largest element
ROOT = Path(__file__).resolve().parent.parent


def add_common_arguments(parser):
    parser.add_argument("--build", default=ROOT / "build" / "release", type=Path,
                        help="where neurotap was built with -DNEUROTAP_BUILD_BENCH=ON")
    parser.add_argument("--models", default=ROOT / "build" / "bench" / "models", type=Path,
                        help="where the models are kept")
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--threads", default=1, type=int, help="inside an operator on the CPU")
    parser.add_argument("--seconds", type=float, default=2.0, metavar="S",
                        help="about how long to measure a case, in at least 3 rounds")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything here")


def arguments():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    add_common_arguments(parser)
    parser.add_argument("--only", default="*", metavar="PATTERN",
                        help="of MODEL/LAYER/BATCH/NEURONS, such as 'resnet18/*/1/64'")
    parser.add_argument("--batch", type=int, action="append", help="only these batch sizes")
    parser.add_argument("--quick", action="store_true", help="fewer models, no batches, 3 rounds")
    parser.add_argument("--all", action="store_true",
                        help="64 neurons in batches of 16 for image models too: takes hours")
    parser.add_argument("--no-memory", action="store_true", help="leave out peak memory")
    parser.add_argument("--markdown", type=Path, metavar="FILE",
                        help="write the documentation's tables")
    return parser.parse_args()


def processor():
    try:
        for text in Path("/proc/cpuinfo").read_text().splitlines():
            if text.startswith("model name"):
                return " ".join(text.split(":", 1)[1].split())
    except OSError:
        pass
    return platform.processor() or platform.machine()


def describe_machine(workshop, args):
    gpu = torch.cuda.get_device_name(args.device) if args.device.startswith("cuda") else None
    return {"processor": processor(), "cores": os.cpu_count(), "threads": args.threads,
            "device": args.device, "gpu": gpu, "libtorch": workshop.libtorch_version(),
            "blas": blas(), "captum": captum_version()}


def show_progress(text):
    """In one line of a terminal, over the one before."""
    if sys.stderr.isatty():
        print(f"\r{text}\x1b[K", end="", file=sys.stderr, flush=True)


def measure_case(case, peers, files, args):
    """What the JSON says of a case."""
    about = files.about[case.layer]
    neurons = case.neurons(about)
    x = example_input(case.model, case.batch, args.device)
    jobs = {peer.name: peer.prepare(case.layer, neurons, x) for peer in peers}
    try:
        differing = differences(jobs, len(neurons))
        times = measure(jobs, len(neurons), args.seconds)
        return {"model": case.model, "layer": case.layer, "stage": case.stage,
                "batch": case.batch, "neurons": len(neurons), "many": case.many,
                "input_shape": list(x.shape), "layer_shape": [case.batch, *about["shape"]],
                "peers": times, "differences": differing, "report": jobs["neurotap"].report()}
    finally:
        for job in jobs.values():
            job.close()


def measure_memory(cases, results, files, args):
    """Adds the peaks, with as many neurons as were timed."""
    for name in results[0]["peers"]:
        counts = {case.name: result["peers"][name]["neurons_measured"]
                  for case, result in zip(cases, results)}
        peaks = peak_memory(build=str(args.build), models=str(args.models), device=args.device,
                            threads=args.threads, peer=name, model=files.name, counts=counts)
        for case, result in zip(cases, results):
            result.setdefault("memory_mib", {})[name] = peaks[case.name]


def measure_model(workshop, name, cases, args):
    """All cases of a model, whose peers are loaded once; prints their rows."""
    files = ModelFiles(args.models, name, args.device)
    peers = [workshop.make(peer, files) for peer in workshop.peer_names()]
    results = []
    for case in cases:
        show_progress(case.name)
        results.append(measure_case(case, peers, files, args))
        gc.collect()
    for peer in peers:
        peer.close()
    if not args.no_memory:
        measure_memory(cases, results, files, args)
    show_progress("")
    for result in results:
        print(table.line(table.row(result)), flush=True)
    return results


def print_doubts(results):
    for result in results:
        for peer, difference in result["differences"].items():
            if difference > SUSPICIOUS:
                print(f"{peer} differs by {difference:.1e} of the largest element: "
                      f"{result['model']} {result['layer']}, batch {result['batch']}, "
                      f"{result['neurons']} neurons")


def save(results, machine, args):
    """After each model, so that a run that is broken off is not lost."""
    if args.json:
        args.json.parent.mkdir(parents=True, exist_ok=True)
        args.json.write_text(json.dumps({"machine": machine, "summary": table.summary(results),
                                         "cases": results}, indent=1))
    if args.markdown:
        args.markdown.parent.mkdir(parents=True, exist_ok=True)
        args.markdown.write_text(table.markdown(results, machine))


def main():
    args = arguments()
    if args.quick:
        args.seconds = 0
    set_threads(args.threads)
    workshop = Workshop(args.build)
    machine = describe_machine(workshop, args)
    cases = list(select(args.only, args.batch, args.all, args.quick))
    if not cases:
        sys.exit(f"no case matches {args.only!r}")
    start, results = time.monotonic(), []
    print(table.machine_text(machine) + "\n\n" + table.header())
    for name, of_model in groupby(cases, key=lambda case: case.model):
        results += measure_model(workshop, name, list(of_model), args)
        save(results, machine, args)
    print("\n" + table.summary_text(results))
    print_doubts(results)
    print(f"{len(results)} cases, {time.monotonic() - start:.0f} s; ~: scaled up, see --help")


if __name__ == "__main__":
    main()
