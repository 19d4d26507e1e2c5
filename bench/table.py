"""The results as text: a table for the terminal, and tables for the documentation."""

import math
from collections import defaultdict

PEERS = ("neurotap", "libtorch", "captum")


def ratio(case, peer):
    """How many times as long as neurotap the peer takes."""
    if peer not in case["peers"]:
        return None
    return case["peers"][peer]["ms"] / case["peers"]["neurotap"]["ms"]


def memory_ratio(case):
    """Neurotap's peak by captum's; None below 1 MiB, where the allocator's reserves decide."""
    memory = case.get("memory_mib", {})
    ours, captums = memory.get("neurotap"), memory.get("captum")
    return ours / captums if ours is not None and captums and captums >= 1 else None


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
    if machine.get("blas"):
        text += f" with {machine['blas']}"
    return text + (f", captum {machine['captum']}" if machine["captum"] else "; no captum")


# For the documentation


def by(cases, *keys):
    """The cases in groups that agree in these fields."""
    groups = defaultdict(list)
    for case in cases:
        groups[tuple(case[key] for key in keys)].append(case)
    return groups


def markdown_table(head, rows):
    lines = [head, ["---"] * 2 + ["--:"] * (len(head) - 2), *rows]
    return "\n".join("| " + " | ".join(map(str, cells)) + " |" for cells in lines)


def layer_row(name, layer, cases):
    found = {(case["batch"], case["many"]): case for case in cases}
    cells = [name, f"`{layer}`"]
    for key in ((1, False), (16, False), (1, True)):
        case = found.get(key)
        cells += ["–"] * 4 if case is None else [
            milliseconds(case, "neurotap"), times(ratio(case, "libtorch")),
            times(ratio(case, "captum")), times(memory_ratio(case))]
    return cells


def markdown_layers(cases):
    """All layers: milliseconds, and how many times as long the others take."""
    head = ["model", "layer"]
    for what in ("1 neuron", "batch of 16", "64 neurons"):
        head += [what + ", ms", "× libtorch", "× captum", "memory of captum's"]
    return markdown_table(head, [layer_row(*key, found)
                                 for key, found in by(cases, "model", "layer").items()])


def stages(cases, batch, many):
    """captum's ratios by stage, such as "355, 24, 1.3×"."""
    chosen = [case for case in cases if case["batch"] == batch and case["many"] == many]
    means = [geometric_mean([ratio(case, "captum") for case in found])
             for found in by(chosen, "stage").values()]
    return ", ".join(times(mean).rstrip("×") for mean in means) + "×" if any(means) else "–"


def markdown_models(cases):
    """One row for each model, for the README."""
    head = ["model", "stages", "1 neuron", "batch of 16", "64 neurons",
            "× libtorch by hand", "memory of captum's"]
    rows = []
    for (name,), found in by(cases, "model").items():
        rows.append([name, ", ".join(stage for (stage,) in by(found, "stage")),
                     stages(found, 1, False), stages(found, 16, False), stages(found, 1, True),
                     times(geometric_mean([ratio(case, "libtorch") for case in found])),
                     times(geometric_mean([memory_ratio(case) for case in found]))])
    return markdown_table(head, rows)


def markdown(cases, machine):
    """The page: first what the README shows of it."""
    return "\n\n".join((
        "# Benchmark",
        "What `make bench` measured; `python3 bench/run.py --help` says how. "
        + machine_text(machine) + ".",
        "How many times as long as neurotap captum takes, by stage of the model:",
        markdown_models(cases),
        "Geometric means and worst cases:",
        "```\n" + summary_text(cases) + "\n```",
        "Layer by layer:",
        markdown_layers(cases),
        "~: scaled up from fewer neurons. –: not measured, or below 1 MiB.")) + "\n"
