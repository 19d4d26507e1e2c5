"""Times the peers on one case: interleaved, in rounds; medians."""

import math
import statistics
import time

SHORTEST_SAMPLE = 0.02  # seconds; shorter calls are repeated within a sample, as in a loop of calls
LONGEST_LOOP = 1.0  # seconds; of a loop over neurons that takes longer, the start is measured
FEWEST_ROUNDS, MOST_ROUNDS = 3, 25

# How many of the neurons are measured where a peer that loops over them would take too long. What
# neurotap does with many neurons is no loop, and is always measured in full.
PART_OF_LOOP = {"captum": 2, "libtorch": 6}


class Sampler:
    """One peer's job, called as often in each round as its speed demands."""

    def __init__(self, name, job, n_neurons):
        self.name, self.job, self.n_neurons = name, job, n_neurons
        self.samples = []
        one = self._warm_up()
        self.measured = n_neurons
        if one * n_neurons > LONGEST_LOOP:
            self.measured = min(n_neurons, PART_OF_LOOP.get(name, n_neurons))
        if self.measured == n_neurons > 1:
            one = self._timed(n_neurons)
        self.calls = max(1, math.ceil(SHORTEST_SAMPLE / one))

    def _timed(self, count):
        start = time.perf_counter()
        self.job.run(count)
        return time.perf_counter() - start

    def _warm_up(self):
        """Until libtorch has compiled what it compiles; how long one neuron takes then."""
        start = time.perf_counter()
        for _ in range(3):
            one = self._timed(1)
            if time.perf_counter() - start > 0.5:
                break
        return one

    def sample(self):
        constant, run, calls, count = 0.0, self.job.run, self.calls, self.measured
        start = time.perf_counter()
        for _ in range(calls):
            constant = run(count)
        seconds = (time.perf_counter() - start) / calls
        self.samples.append(constant + (seconds - constant) * self.n_neurons / self.measured
                            if self.measured < self.n_neurons else seconds)

    def summary(self):
        quartiles = statistics.quantiles(self.samples, n=4)
        return {"ms": 1e3 * statistics.median(self.samples),
                "quartiles_ms": [1e3 * quartiles[0], 1e3 * quartiles[2]],
                "rounds": len(self.samples),
                "calls_per_round": self.calls,
                "neurons_measured": self.measured,
                "scaled": self.measured < self.n_neurons}


def measure(jobs, n_neurons, budget):
    """Rounds of all jobs, each second one backwards, for about `budget` seconds."""
    samplers = [Sampler(name, job, n_neurons) for name, job in jobs.items()]
    start, rounds = time.perf_counter(), 0
    while rounds < FEWEST_ROUNDS or (
            rounds < MOST_ROUNDS and time.perf_counter() - start < budget):
        for sampler in samplers if rounds % 2 == 0 else reversed(samplers):
            sampler.sample()
        rounds += 1
    return {sampler.name: sampler.summary() for sampler in samplers}


def differences(jobs, n_neurons):
    """How far gradients are from captum's, or else libtorch's, by their largest element."""
    count = min(n_neurons, min(PART_OF_LOOP.values()))
    results = {name: job.result(count) for name, job in jobs.items()}
    expected = results.get("captum", results.get("libtorch"))
    scale = float(expected.abs().max()) or 1.0
    return {name: float((result - expected).abs().max()) / scale
            for name, result in results.items()}
