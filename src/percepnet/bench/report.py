"""The measurements as people read them: tables, which are Markdown too, and a picture."""

from collections.abc import Sequence
from pathlib import Path

from percepnet.atomic import replacing
from percepnet.bench.run import Document
from percepnet.errors import PercepNetError
from percepnet.params import FRAMES_PER_SECOND
from percepnet.plot import require_matplotlib

MARKER = "<!-- percepnet bench: everything below is rewritten by it -->"
FRAME_MS = 1000 / FRAMES_PER_SECOND
BLUE, RED = "#1f6f8b", "#c8553d"


def to_markdown(document: Document) -> str:
    """All figures, as text for a terminal and for a Markdown file."""
    lines = [*_about(document), "", *_frames(document)]
    lines += [f"{name}: {reason}" for name, reason in document["skipped"].items()]
    lines += ["", *_streams(document), "", *_rest(document)]
    return "\n".join(lines) + "\n"


def _about(document: Document) -> list[str]:
    ours, machine = document["percepnet"], document["machine"]
    kernels = f" ({ours['kernels'][0]}; also here: {', '.join(ours['kernels'][1:])})" if ours["kernels"] else ""
    load = machine["load_before"]
    busy = "" if load is None else f", {load:.1f} processes at work before"
    return [
        f"percepnet {ours['version']}, model {ours['model']} ({ours['weights'] / 1e6:.2f} million weights), "
        f"engine {ours['engine']}{kernels}.",
        f"{machine['processor']}, {machine['processors']} processors{busy}; {machine['system']}, "
        f"Python {machine['python']}, NumPy {machine['numpy']}.",
    ]


def _frames(document: Document) -> list[str]:
    header = [
        "10 ms of one channel, µs",
        "paced: median",
        "p95",
        "p99",
        "latency: median",
        "p99",
        "hot: median",
        "% of a core, paced",
    ]
    rows = []
    for system in document["systems"]:
        cpu, wall = system["paced"]["cpu_us"], system["paced"]["wall_us"]
        numbers = (
            cpu["median"],
            cpu["p95"],
            cpu["p99"],
            wall["median"],
            wall["p99"],
            system["hot"]["cpu_us"]["median"],
        )
        rows.append([system["title"], *(f"{us:.0f}" for us in numbers), f"{system['core_percent']:.1f}"])
    clock = document["machine"]["clock"]
    note = (
        f"{document['seconds']:g} s of audio a system, in turns. Paced: a frame every 10 ms, as in a call; hot: one "
        f"after the other. {clock[0].upper()}{clock[1:]}; latency is the wall clock during the call."
    )
    return [note, "", *_table(header, rows)]


def _streams(document: Document) -> list[str]:
    titles = {"one_by_one_us": "one Enhancer each", "batch_us": "percepnet.Batch"}
    ways = {way: title for way, title in titles.items() if way in document["streams"][0]}
    header = ["streams on one thread, hot, µs a stream and frame", *ways.values(), "streams that a core can serve"]
    rows = []
    for row in document["streams"]:
        times_us = [row[way] for way in ways]
        rows.append([str(row["streams"]), *(f"{us:.0f}" for us in times_us), f"{1000 * FRAME_MS / min(times_us):.0f}"])
    return _table(header, rows)


def _rest(document: Document) -> list[str]:
    file, start, memory, bandwidth = (document[name] for name in ("file", "start_up", "memory", "bandwidth"))
    rows = [
        [
            f"a recording of {file['duration_s']:g} s, {'two threads' if file['threads'] == 2 else 'one thread'}",
            f"{file['processing_s']:.2f} s: real-time factor {file['real_time_factor']:.4f}, "
            f"{1 / file['real_time_factor']:.0f} times as fast as it plays",
        ],
        ["import percepnet", f"{start['import_ms']:.0f} ms, of it NumPy {start['numpy_ms']:.0f} ms"],
        [
            "from the model's name to the first output",
            f"{start['load_ms'] + start['first_ms']:.0f} ms, of it reading the model {start['load_ms']:.0f} ms",
        ],
    ]
    if memory:
        rows += [
            ["memory before the first stream", f"{memory['before'] / 1e6:.1f} MB: Python, NumPy, percepnet"],
            ["memory of the first stream, with the model", f"{memory['first'] / 1e6:.1f} MB"],
            ["memory of each further stream", f"{memory['further'] / 1e3:.0f} kB"],
        ]
    if document["stream_bytes"]:
        rows.append(["memory of a stream as the core counts it", f"{document['stream_bytes'] / 1e3:.0f} kB"])
    size_mb = bandwidth["weight_bytes"] / 1e6
    rows.append(
        [
            f"reading {size_mb:.2f} MB, in a cache",
            f"{bandwidth['cached_floor_us']:.0f} µs, {bandwidth['cached_bytes_per_s'] / 1e9:.0f} GB/s",
        ]
    )
    if "uncached_floor_us" in bandwidth:
        rows.append(
            [
                f"reading {size_mb:.2f} MB, in no cache",
                f"{bandwidth['uncached_floor_us']:.0f} µs, {bandwidth['uncached_bytes_per_s'] / 1e9:.0f} GB/s",
            ]
        )
    return _table(["", "measured"], rows)


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """A Markdown table whose columns line up in a terminal too; all but the first are right-aligned."""
    widths = [max(3, *(len(row[column]) for row in (header, *rows))) for column in range(len(header))]
    right = len(header) > 2
    lines = []
    for row in (header, None, *rows):
        if row is None:
            cells = ["-" * width if not i or not right else "-" * (width - 1) + ":" for i, width in enumerate(widths)]
        else:
            aligned = zip(row, widths, strict=True)
            cells = [cell.rjust(width) if i and right else cell.ljust(width) for i, (cell, width) in enumerate(aligned)]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def check_report(path: Path) -> None:
    """Raise PercepNetError if a file cannot take a report, before anything was measured for it."""
    takes = not path.exists()
    if path.is_file():
        takes = MARKER in path.read_text(encoding="utf-8", errors="replace").splitlines()
    if not takes:
        raise PercepNetError(f"{path}: has no line {MARKER!r}, below which the report could go")
    check_plot(path.with_suffix(".png"))


def check_plot(path: Path) -> None:
    """Raise PercepNetError if no picture can be drawn to a path, before anything was measured for it."""
    require_matplotlib()
    if path.suffix.lower() != ".png":
        raise PercepNetError(f"{path}: pictures are .png files")
    if not path.parent.is_dir():
        raise PercepNetError(f"{path}: no such folder: {path.parent}")


def save_report(path: Path, document: Document, command: str) -> None:
    """Write the figures below the marker of a Markdown file, whose text above it stays, and a picture beside it.

    Parameters
    ----------
    path : path
    document : dict
        What `percepnet.bench.run.measure` returned.
    command : str
        The one that repeats it.
    """
    picture = path.with_suffix(".png")
    save_plot(picture, document)
    above = path.read_text(encoding="utf-8").partition(MARKER)[0] if path.exists() else ""
    parts = [f"{above}{MARKER}", to_markdown(document).rstrip(), f"![CPU time of 10 ms]({picture.name})"]
    with replacing(path) as temporary:
        temporary.write_text("\n\n".join([*parts, f"Made by\n\n    {command}"]) + "\n", encoding="utf-8")


def save_plot(path: Path, document: Document) -> None:
    """Draw the CPU time of a frame: the median, the 95th and 99th percentile when paced, and the median when hot.

    Raises
    ------
    PercepNetError
        Without matplotlib, or if the file cannot be written.
    """
    require_matplotlib()
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import LogLocator, NullFormatter

    systems = document["systems"][::-1]
    figure = Figure(figsize=(10, 1.6 + 0.55 * len(systems)), layout="constrained")
    FigureCanvasAgg(figure)
    axis = figure.subplots()
    heights = range(len(systems))
    paced = {name: [system["paced"]["cpu_us"][name] for system in systems] for name in ("median", "p95", "p99")}
    hot = [system["hot"]["cpu_us"]["median"] for system in systems]
    axis.hlines(heights, paced["median"], paced["p99"], color=BLUE, alpha=0.4)
    axis.plot(hot, heights, "o", mfc="white", mec=BLUE, ms=8, label="hot, median")
    axis.plot(paced["median"], heights, "o", color=BLUE, ms=9, label="paced, median")
    axis.plot(paced["p95"], heights, "|", color=BLUE, ms=11, mew=2, label="paced, 95th percentile")
    axis.plot(paced["p99"], heights, "|", color=RED, ms=11, mew=2, label="paced, 99th percentile")
    for height, us in zip(heights, paced["median"], strict=True):
        axis.annotate(f"{us:.0f}", (us, height), (0, 8), textcoords="offset points", ha="center")
    axis.set_xscale("log")
    axis.set_yticks(heights, [system["title"] for system in systems])
    axis.set_ylim(-0.6, len(systems) - 0.4)
    axis.set_xlabel("CPU time of 10 ms of one channel (µs)")
    axis.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axis.xaxis.set_major_formatter("{x:g}")
    axis.xaxis.set_minor_formatter(NullFormatter())
    axis.grid(axis="x", which="both", alpha=0.2)
    axis.spines[["top", "right", "left"]].set_visible(False)
    axis.tick_params(axis="y", length=0)
    figure.suptitle(f"percepnet {document['percepnet']['version']} on {document['machine']['processor']}")
    figure.legend(loc="outside lower center", ncols=4, frameon=False)
    with replacing(path) as temporary:
        figure.savefig(temporary, format="png", dpi=110)
