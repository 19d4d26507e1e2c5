"""The results as text: one table for the terminal, a shorter one for the README, JSON for both."""

import math
from collections import defaultdict

PEERS = ("neurotap", "libtorch", "captum")


def ratio(case, peer):
    """How many times as long as neurotap the peer takes."""
    if peer not in case["peers"]:
        return None
    return case["peers"][peer]["ms"] / case["peers"]["neurotap"]["ms"]


def memory_ratio(case):
    memory = case.get("memory_mib", {})
    ours, captums = memory.get("neurotap"), memory.get("captum")
    return ours / captums if ours is not None and captums else None


def number(value, digits=3):
    """Three significant digits, never in powers of ten."""
    if value is None:
        return "–"
    if value == 0:
        return "0"
    decimals = digits - 1 - math.floor(math.log10(abs(value)))
    return f"{round(value, decimals):,.{max(0, decimals)}f}"


def times(value):
    return "–" if value is None else number(value, 3 if value >= 10 else 2) + "×"


def milliseconds(case, peer):
    """With a ~ where it was scaled up from fewer neurons."""
    if peer not in case["peers"]:
        return "–"
    measured = case["peers"][peer]
    return ("~" if measured["scaled"] else "") + number(measured["ms"])


HEAD = ("model", "layer", "batch", "neurons",
        "neurotap", "libtorch", "captum", "×libtorch", "×captum",
        "neurotap", "libtorch", "captum", "of captum's")
WIDTHS = (13, 25, 6, 8, 10, 10, 10, 10, 9, 9, 9, 9, 12)


def row(case):
    memory = case.get("memory_mib", {})
    return (case["model"], case["layer"], case["batch"], case["neurons"],
            *(milliseconds(case, peer) for peer in PEERS),
            times(ratio(case, "libtorch")), times(ratio(case, "captum")),
            *(number(memory.get(peer), 2) for peer in PEERS), times(memory_ratio(case)))


def line(cells):
    """Two columns of text, then numbers."""
    return "".join(str(cell).ljust(width) if i < 2 else str(cell).rjust(width)
                   for i, (cell, width) in enumerate(zip(cells, WIDTHS))).rstrip()


def header():
    start, ms = sum(WIDTHS[:4]), sum(WIDTHS[4:9])
    return (" " * start + "  milliseconds".ljust(ms) + "  peak memory, MiB\n" + line(HEAD) + "\n"
            + "-" * sum(WIDTHS))


def geometric_mean(values):
    values = [value for value in values if value]
    return math.exp(sum(map(math.log, values)) / len(values)) if values else None


GROUPS = {
    "one neuron, batch 1": lambda case: not case["many"] and case["batch"] == 1,
    "one neuron, batch 16": lambda case: not case["many"] and case["batch"] == 16,
    "64 neurons": lambda case: case["many"],
    "all": lambda case: True,
}


def summary(cases):
    """Geometric means and worst cases, by group."""
    groups = {}
    for name, belongs in GROUPS.items():
        chosen = [case for case in cases if belongs(case)]
        if not chosen:
            continue
        groups[name] = {"cases": len(chosen)}
        for peer in PEERS[1:]:
            ratios = [ratio(case, peer) for case in chosen if peer in case["peers"]]
            groups[name][peer] = {"geometric_mean": geometric_mean(ratios),
                                  "worst": min(ratios, default=None)}
        memory = [memory_ratio(case) for case in chosen]
        groups[name]["memory_of_captums"] = {
            "geometric_mean": geometric_mean(memory),
            "worst": max((value for value in memory if value is not None), default=None)}
    return groups


def summary_text(cases):
    lines = ["geometric mean (worst case)".ljust(30) + "cases".rjust(6) + "×libtorch".rjust(20)
             + "×captum".rjust(20) + "memory of captum's".rjust(24)]
    for name, group in summary(cases).items():
        means = [group["libtorch"], group["captum"], group["memory_of_captums"]]
        cells = [f"{times(mean['geometric_mean'])} ({times(mean['worst'])})" for mean in means]
        lines.append(name.ljust(30) + str(group["cases"]).rjust(6) + cells[0].rjust(20)
                     + cells[1].rjust(20) + cells[2].rjust(24))
    return "\n".join(lines)


def machine_text(machine):
    text = (f"{machine['processor']}, {machine['threads']} thread"
            + ("s" if machine["threads"] > 1 else ""))
    if machine.get("gpu"):
        text += f", {machine['gpu']}"
    text += f"; libtorch {machine['libtorch']}"
    return text + (f", captum {machine['captum']}" if machine["captum"] else "; no captum")


# For the README


def by_layer(cases):
    layers = defaultdict(dict)
    for case in cases:
        layers[case["model"], case["layer"]][case["batch"], case["many"]] = case
    return layers


def markdown_row(name, layer, found):
    one, batch, many = found.get((1, False)), found.get((16, False)), found.get((1, True))
    cells = [name, f"`{layer}`"]
    cells += [milliseconds(one, "neurotap"), times(ratio(one, "libtorch")),
              times(ratio(one, "captum"))] if one else ["–"] * 3
    cells += [times(ratio(batch, "libtorch")), times(ratio(batch, "captum")),
              times(memory_ratio(batch))] if batch else ["–"] * 3
    cells += [times(ratio(many, "libtorch")), times(ratio(many, "captum"))] if many else ["–"] * 2
    return "| " + " | ".join(cells) + " |"


def markdown_means(cases):
    groups = summary(cases)

    def mean(group, peer):
        return times(groups.get(group, {}).get(peer, {}).get("geometric_mean"))

    cells = ["**geometric mean**", "", ""]
    for group in ("one neuron, batch 1", "one neuron, batch 16"):
        cells += [mean(group, "libtorch"), mean(group, "captum")]
    cells += [mean("one neuron, batch 16", "memory_of_captums")]
    cells += [mean("64 neurons", "libtorch"), mean("64 neurons", "captum")]
    return "| " + " | ".join(cells) + " |"


def markdown(cases, machine):
    """A row for each layer."""
    head = ("| model | layer | 1 neuron, ms | × libtorch | × captum | batch 16: × libtorch "
            "| × captum | memory of captum's | 64 neurons: × libtorch | × captum |")
    rows = [markdown_row(*key, found) for key, found in by_layer(cases).items()]
    return "\n".join([head, "|---|---|" + "--:|" * 8, *rows, markdown_means(cases), "",
                      machine_text(machine)]) + "\n"
