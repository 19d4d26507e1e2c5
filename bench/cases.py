"""The benchmark's cases: which neurons of which layers, in which batches."""

from dataclasses import dataclass
from fnmatch import fnmatch

from models import MODELS, is_image_model

STAGES = {3: ("early", "middle", "late"),
          4: ("early", "middle", "late", "output"),
          5: ("early", "early", "middle", "late", "output")}
MANY = 64


@dataclass(frozen=True)
class Case:
    model: str
    layer: str
    stage: str
    batch: int
    many: bool  # 64 neurons, or as many as the layer has, instead of one

    @property
    def name(self):
        return f"{self.model}/{self.layer}/{self.batch}/{MANY if self.many else 1}"

    def neurons(self, about):
        """Rows of indices into the layer's value, the batch left out."""
        if not self.many:
            return [about["neuron"]]
        return first_neurons(about["shape"], about["neuron"], MANY)


def first_neurons(shape, at, most):
    """The first units, features or channels, at the same place of the sequence or image."""
    if len(shape) == 2:  # time, features
        return [[at[0], unit] for unit in range(min(most, shape[1]))]
    return [[unit, *at[1:]] for unit in range(min(most, shape[0]))]


def all_cases():
    """One neuron in batches of 1 and 16; 64 neurons of one example, of small models also of 16."""
    for model, (_, _, layers) in MODELS.items():
        for layer, stage in zip(layers, STAGES[len(layers)]):
            for many in (False, True):
                for batch in (1, 16):
                    yield Case(model, layer, stage, batch, many)


def takes_minutes(case):
    """With these the benchmark would take hours: only --all measures them."""
    return case.many and case.batch > 1 and is_image_model(case.model)


QUICK = ("mlp", "lstm", "transformer", "resnet18")


def select(pattern="*", batches=None, everything=False, quick=False):
    for case in all_cases():
        if takes_minutes(case) and not everything:
            continue
        if quick and (case.model not in QUICK or case.batch > 1):
            continue
        if batches and case.batch not in batches:
            continue
        if fnmatch(case.name, pattern) or fnmatch(case.name, f"*{pattern}*"):
            yield case
