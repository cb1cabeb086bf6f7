"""Before and after, as spectrograms in one picture; memory does not grow with the length of the recording."""

import importlib.util
from pathlib import Path

import numpy as np
import numpy.typing as npt

from percepnet.arrays import Samples
from percepnet.atomic import replacing
from percepnet.errors import PercepNetError

COLUMNS = 1200  # at most; a long recording has many windows a column, whose power is averaged
WINDOW_S = 0.02
ROWS = 300  # of a picture's height
MARKS_HZ = (100, 300, 500, 1000, 2000, 4000, 8000, 16_000, 24_000, 48_000)
RANGE_DB = 90.0  # below the loudest point


def require_matplotlib() -> None:
    """Raise PercepNetError, saying what to install, if matplotlib is missing."""
    if importlib.util.find_spec("matplotlib") is None:
        raise PercepNetError("plots need matplotlib: pip install percepnet[plot]")


class Spectrogram:
    """Mean power over time and frequency of a recording that comes in blocks; channels are averaged.

    Parameters
    ----------
    sample_rate_hz : int
    samples : int
        Length of the whole recording.
    window_s : float
        Of a Hann window; windows follow each other by half of it.
    """

    def __init__(self, sample_rate_hz: int, samples: int, window_s: float = WINDOW_S) -> None:
        self.sample_rate_hz = sample_rate_hz
        self.samples = samples
        self._window_samples = 2 * round(sample_rate_hz * window_s / 2)
        self._hop_samples = self._window_samples // 2
        self._window = np.hanning(self._window_samples + 1)[:-1].astype(np.float32)
        self._windows = -(-samples // self._hop_samples) + 1
        self._columns = min(COLUMNS, self._windows)
        self._power = np.zeros((self._columns, self._window_samples // 2 + 1))
        self._counts = np.zeros(self._columns)
        self._done = 0
        self._tail: Samples | None = None

    def add(self, x: Samples) -> None:
        """Append a block [shape=(channels, n)]."""
        if self._tail is None:  # windows are centred on multiples of the hop
            self._tail = np.zeros((x.shape[0], self._hop_samples), dtype=np.float32)
        x = np.concatenate((self._tail, x), axis=1)
        count = (x.shape[1] - self._window_samples) // self._hop_samples + 1
        if count > 0:
            frames = np.lib.stride_tricks.sliding_window_view(x, self._window_samples, axis=1)
            frames = frames[:, : count * self._hop_samples : self._hop_samples]
            power = np.square(np.abs(np.fft.rfft(frames * self._window))).mean(axis=0)
            columns = (self._done + np.arange(count)) * self._columns // self._windows
            inside = columns < self._columns
            np.add.at(self._power, columns[inside], power[inside])
            np.add.at(self._counts, columns[inside], 1)
            self._done += count
            x = x[:, count * self._hop_samples :]
        self._tail = x

    def power_db(self) -> npt.NDArray[np.float64]:
        """What has come so far [shape=(frequencies, columns)], in dB; 0 dB is a full-scale sine, silence is -200 dB."""
        power = self._power / np.maximum(self._counts, 1)[:, None] / (self._window.sum() / 2) ** 2
        return np.asarray(10 * np.log10(power + 1e-20).T)

    def finish(self) -> None:
        """Add the silence that the last windows reach into."""
        if self._tail is not None:
            self.add(np.zeros((self._tail.shape[0], self._window_samples), dtype=np.float32))


def erb_rate(frequency_hz: float) -> float:
    """Number of equivalent rectangular bandwidths below a frequency (Glasberg and Moore 1990)."""
    return float(21.4 * np.log10(1 + 0.00437 * frequency_hz))


def erb_rate_inverse(rate: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Frequencies in Hz of numbers of equivalent rectangular bandwidths."""
    return np.asarray((10 ** (rate / 21.4) - 1) / 0.00437)


def over_erb(power: npt.NDArray[np.float64], rows: int, top_hz: float) -> npt.NDArray[np.float64]:
    """Mean powers of rows that are equally wide on the scale of hearing: narrow where the harmonics are.

    Parameters
    ----------
    power : np.ndarray [shape=(bins, T)]
        Of bins from 0 Hz to `top_hz`, each taken to be as wide as the distance to the next.
    rows : int
    top_hz : float

    Returns
    -------
    np.ndarray [shape=(rows, T)]
        Low frequencies first, each the mean over the bins that the row covers, whole or in part.
    """
    edges = erb_rate_inverse(np.linspace(0.0, erb_rate(top_hz), rows + 1)) / top_hz * len(power)
    total = np.concatenate((np.zeros((1, power.shape[1])), np.cumsum(power, axis=0)))
    whole = np.minimum(edges.astype(int), len(power) - 1)
    below = total[whole] + (edges - whole)[:, None] * power[whole]
    return np.asarray(np.maximum(np.diff(below, axis=0), 0.0) / np.diff(edges)[:, None])


def _over_erb_db(level_db: npt.NDArray[np.float64], top_hz: float) -> npt.NDArray[np.float64]:
    return np.asarray(10 * np.log10(over_erb(10 ** (level_db / 10), ROWS, top_hz) + 1e-20))


def save_before_after(path: Path, before: Spectrogram, after: Spectrogram, title: str) -> None:
    """Write both spectrograms as a PNG file: one scale of time and level, and frequencies as wide as the ear has them.

    Parameters
    ----------
    path : path
        Appears only when it is complete.
    before, after : Spectrogram
        Finished ones of equal length and rate.
    title : str

    Raises
    ------
    PercepNetError
        Without matplotlib, or if the file cannot be written.
    """
    require_matplotlib()
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    top_hz = before.sample_rate_hz / 2
    levels = [_over_erb_db(spectrogram.power_db(), top_hz) for spectrogram in (before, after)]
    top_db = max(float(levels[0].max()), -120.0)
    figure = Figure(figsize=(12, 7), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(2, 1, sharex=True, sharey=True)
    extent = (0.0, before.samples / before.sample_rate_hz, 0.0, float(erb_rate(top_hz)))
    marks_hz = [hz for hz in MARKS_HZ if hz <= top_hz]
    for axis, level, name in zip(axes, levels, ("before", "after"), strict=True):
        image = axis.imshow(
            level, origin="lower", aspect="auto", extent=extent, vmin=top_db - RANGE_DB, vmax=top_db, cmap="magma"
        )
        axis.set_title(name, loc="left")
        axis.set_yticks([float(erb_rate(hz)) for hz in marks_hz], [f"{hz / 1000:g}" for hz in marks_hz])
        axis.set_ylabel("frequency (kHz)")
    axes[-1].set_xlabel("time (s)")
    figure.suptitle(title)
    figure.colorbar(image, ax=axes, label="level (dB, full-scale sine)")
    with replacing(path) as temporary:
        figure.savefig(temporary, format="png", dpi=110)
