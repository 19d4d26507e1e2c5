"""How time grows with the number of neurons, the batch and the size of the image.

    make bench-growth
    python3 bench/growth.py --json growth.json --png growth.png

As run.py: the same peers, interleaved, medians; scaled-up times are drawn hollow. The numbers in
the legend are exponents: time grows with that power, fitted over the upper half of the range.
"""

import argparse
import gc
import json
import math
import statistics
from pathlib import Path

import torch

import table
from measure import measure
from models import ModelFiles, build, example_input, is_image_model, up_to
from peers import Workshop, set_threads
from run import add_common_arguments, describe_machine, show_progress

NEURONS, BATCHES, SIZES = (1, 4, 16, 64, 256), (1, 2, 4, 8, 16, 32, 64), (64, 128, 224, 320, 512)
LAYERS = (("resnet18", "layer2"), ("autoencoder", "10"))  # the second is dense: drawn dashed
PANELS = {
    "neurons": ("number of neurons", NEURONS),
    "batch": ("examples in the batch", BATCHES),
    "image_size": ("height and width of the image, pixels", SIZES),
}
COLOURS = {"neurotap": "#0b6e4f", "libtorch": "#d1792b", "captum": "#5a5f9e"}


def spread(shape, most):
    """The first channels in the middle of the image, then the same at the places next to it."""
    if len(shape) == 1:
        return [[unit] for unit in range(min(most, shape[0]))]
    channels, row, column = shape[0], shape[1] // 2, shape[2] // 2
    return [[k % channels, row, column + k // channels] for k in range(most)]


def measure_point(peers, name, layer, settings, seconds, device):
    """The peers' times for some number of neurons, batch and image size."""
    n_neurons, batch, size = settings
    x = example_input(name, batch, device, size)
    shape = up_to(build(name, device), layer)(x[:1].requires_grad_()).shape[1:]
    neurons = spread(shape, n_neurons)
    jobs = {peer.name: peer.prepare(layer, neurons, x) for peer in peers}
    try:
        return measure(jobs, len(neurons), seconds)
    finally:
        for job in jobs.values():
            job.close()
        gc.collect()


def settings_of(panel, value, image):
    """Number of neurons, batch, image size."""
    size = 224 if image else None
    return {"neurons": (value, 1, size), "batch": (1, value, size),
            "image_size": (1, 1, value)}[panel]


def measure_layer(workshop, name, layer, args):
    files = ModelFiles(args.models, name, args.device)
    peers = [workshop.make(peer, files) for peer in workshop.peer_names()]
    points = []
    for panel, (_, values) in PANELS.items():
        if panel == "image_size" and not is_image_model(name):
            continue
        for value in values:
            show_progress(f"{name} {layer}, {panel} {value}")
            times = measure_point(peers, name, layer,
                                  settings_of(panel, value, is_image_model(name)), args.seconds,
                                  args.device)
            points.append({"model": name, "layer": layer, "panel": panel, "value": value,
                           "peers": times})
    for peer in peers:
        peer.close()
    show_progress("")
    return points


def series(points, panel, layer, peer):
    """Values, milliseconds, and whether those were scaled up."""
    found = [point for point in points if (point["panel"], point["layer"]) == (panel, layer)
             and peer in point["peers"]]
    return ([point["value"] for point in found], [point["peers"][peer]["ms"] for point in found],
            [point["peers"][peer]["scaled"] for point in found])


def exponent(values, times):
    """The slope of the logarithms, over the upper half."""
    half = len(values) // 2
    x = [math.log(value) for value in values[half:]]
    y = [math.log(time) for time in times[half:]]
    x_mean, y_mean = statistics.mean(x), statistics.mean(y)
    return (sum((a - x_mean) * (b - y_mean) for a, b in zip(x, y))
            / sum((a - x_mean) ** 2 for a in x))


def print_table(points):
    names = list(points[0]["peers"])
    for panel, (label, _) in PANELS.items():
        for model, layer in LAYERS:
            found = series(points, panel, layer, names[0])[0]
            if not found:
                continue
            print(f"\n{model} {layer}, ms by {label}")
            print("".ljust(12) + "".join(str(value).rjust(10) for value in found)
                  + "  exponent".rjust(12))
            for name in names:
                _, times, scaled = series(points, panel, layer, name)
                cells = [("~" if s else "") + table.number(t) for t, s in zip(times, scaled)]
                print(name.ljust(12) + "".join(cell.rjust(10) for cell in cells)
                      + f"{exponent(found, times):12.2f}")


def draw_series(axes, points, panel, model, layer, peer):
    values, times, scaled = series(points, panel, layer, peer)
    if not values:
        return
    dense = not is_image_model(model)
    axes.plot(values, times, color=COLOURS[peer], linestyle="--" if dense else "-", linewidth=1.8,
              zorder=2, label=f"{peer}, {model}: {round(exponent(values, times), 1) + 0.0}")
    for value, time, hollow in zip(values, times, scaled):
        axes.plot(value, time, marker="o", markersize=5, color=COLOURS[peer], zorder=3,
                  markerfacecolor="white" if hollow else COLOURS[peer])


def duration(milliseconds, _position=None):
    """As a tick: 100 µs, 10 ms, 1 s."""
    for unit, size in (("s", 1e3), ("ms", 1), ("µs", 1e-3)):
        if milliseconds >= size:
            return f"{milliseconds / size:g} {unit}"
    return f"{milliseconds:g} ms"


def draw_panel(axes, points, panel):
    from matplotlib.ticker import FuncFormatter, NullLocator

    label, values = PANELS[panel]
    for model, layer in LAYERS:
        for peer in points[0]["peers"]:
            draw_series(axes, points, panel, model, layer, peer)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xticks(values)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(duration))
    axes.set_xlabel(label)
    axes.grid(True, which="major", color="#dddddd", linewidth=0.7)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelleft=True)
    axes.legend(fontsize=9, frameon=False, loc="upper center", bbox_to_anchor=(0.5, -0.13), ncol=2,
                title="time grows with the power", title_fontsize=9)


def draw(points, machine, path):
    import matplotlib
    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, panels = pyplot.subplots(1, len(PANELS), figsize=(15, 6.4), sharey=True)
    for axes, panel in zip(panels, PANELS):
        draw_panel(axes, points, panel)
    described = " and ".join(f"{model} at layer {layer!r}" for model, layer in LAYERS)
    figure.suptitle(f"Time for the gradients of neurons: {described}", fontsize=13)
    figure.text(0.5, 0.925, table.machine_text(machine) + "; hollow: scaled up from fewer neurons",
                ha="center", fontsize=9, color="#555555")
    figure.tight_layout(rect=(0, 0, 1, 0.97))
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    add_common_arguments(parser)
    parser.add_argument("--png", type=Path, help="draw the plot here")
    parser.add_argument("--redraw", type=Path, metavar="JSON", help="draw what was measured before")
    args = parser.parse_args()
    if args.redraw:
        measured = json.loads(args.redraw.read_text())
    else:
        set_threads(args.threads)
        workshop = Workshop(args.build)
        measured = {"machine": describe_machine(workshop, args), "points": []}
        for name, layer in LAYERS:
            measured["points"] += measure_layer(workshop, name, layer, args)
    print(table.machine_text(measured["machine"]))
    print_table(measured["points"])
    if args.json:
        args.json.parent.mkdir(parents=True, exist_ok=True)
        args.json.write_text(json.dumps(measured, indent=1))
    if args.png:
        draw(measured["points"], measured["machine"], args.png)


if __name__ == "__main__":
    main()
