"""A run's losses and scores over time, as a picture."""

import importlib.util
import json
from pathlib import Path

from percepnet.atomic import replacing

VALIDATION_NAME = "validation.jsonl"
CURVES_NAME = "curves.png"


def save_curves(run: Path) -> None:
    """Draw `validation.jsonl` of a run to `curves.png`; nothing happens without matplotlib.

    Parameters
    ----------
    run : Path
        The run's folder.
    """
    if importlib.util.find_spec("matplotlib") is None:
        return
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    rows = [json.loads(line) for line in (run / VALIDATION_NAME).read_text().splitlines()]
    panels = (
        ("loss of the gains", {"gain_loss": "mixtures trained on", "gain": "held-out mixtures"}),
        ("loss of the strengths", {"strength_loss": "mixtures trained on", "strength": "held-out mixtures"}),
        ("PESQ-WB", {"pesq_wb": "enhanced", "noisy_pesq_wb": "noisy"}),
        ("STOI", {"stoi": "enhanced", "noisy_stoi": "noisy"}),
        ("SI-SDR (dB)", {"si_sdr_db": "enhanced", "noisy_si_sdr_db": "noisy"}),
        ("DNSMOS OVRL", {"dnsmos_ovrl": "enhanced", "noisy_dnsmos_ovrl": "noisy"}),
    )
    figure = Figure(figsize=(10, 10), layout="constrained")
    FigureCanvasAgg(figure)
    for axis, (title, lines) in zip(figure.subplots(3, 2, sharex=True).flat, panels, strict=True):
        axis.set_title(title, loc="left")
        for name, label in lines.items():
            points = [(row.get("hours_seen", row.get("hours_heard")), row[name]) for row in rows if name in row]
            if points:
                axis.plot(*zip(*points, strict=True), marker=".", label=label)
                axis.legend()
        axis.grid(alpha=0.3)
        axis.set_xlabel("hours of audio seen")
    with replacing(run / CURVES_NAME) as temporary:
        figure.savefig(temporary, format="png", dpi=90)
