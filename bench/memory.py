"""The peak memory of a peer, beyond what the process holds once model and input are there.

Each case runs once, in a process of its own: forked after the model was loaded and before anything
was computed with it. Its peak is the high-water mark of the resident set, which Linux resets on
request. On a GPU it is that of libtorch's allocator.
"""

import ctypes
import json
import os
import subprocess
import sys
import traceback
from pathlib import Path

import torch

from cases import all_cases
from models import ModelFiles, example_input
from peers import Workshop, set_threads

MIB = 2 ** 20


def status(field):
    """A size of this process, in bytes."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1]) * 1024
    raise RuntimeError(f"/proc/self/status has no {field}")


def host_peak(work):
    """Writing 5 to clear_refs sets the high-water mark to the present size. What making the model
    left in the allocator is given back first, or it would be used without being seen. Pages of
    program files that were touched for the first time do not count."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
    Path("/proc/self/clear_refs").write_text("5")
    before, files_before = status("VmRSS"), status("RssFile")
    work()
    return status("VmHWM") - before - (status("RssFile") - files_before)


def device_peak(work):
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    work()
    return torch.cuda.max_memory_allocated() - before


def peak_of(peer, case, about, device, count):
    """In MiB. Of a long loop the first neurons run; the gradients of the others are added."""
    neurons = case.neurons(about)
    x = example_input(case.model, case.batch, device)
    job = peer.prepare(case.layer, neurons, x)
    measured = device_peak if torch.device(device).type == "cuda" else host_peak
    peak = measured(lambda: job.run(count))
    return (peak + (len(neurons) - count) * x.nelement() * x.element_size()) / MIB


def forked(work):
    """What `work` returns in a child of its own; None if it fails there."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(writer, json.dumps(work()).encode())
            os._exit(0)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
    os.close(writer)
    with os.fdopen(reader) as pipe:
        text = pipe.read()
    os.waitpid(child, 0)
    return json.loads(text) if text else None


def main(request):
    """Prints the peaks that the request asks for, by name of the case."""
    set_threads(1)  # threads do not survive the fork: the children start theirs
    device, counts = request["device"], request["counts"]
    files = ModelFiles(request["models"], request["model"], device)
    peer = Workshop(request["build"]).make(request["peer"], files)
    cases = {case.name: case for case in all_cases() if case.name in counts}

    def work(case):
        set_threads(request["threads"])
        return peak_of(peer, case, files.about[case.layer], device, counts[case.name])

    on_gpu = torch.device(device).type == "cuda"  # which does not survive a fork either
    print(json.dumps({name: work(case) if on_gpu else forked(lambda: work(case))
                      for name, case in cases.items()}))


def peak_memory(**request):
    """The peaks of one peer with one model, in MiB by name of the case; `counts` says of how many
    neurons."""
    done = subprocess.run([sys.executable, __file__, json.dumps(request)], check=True,
                          stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout)


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
