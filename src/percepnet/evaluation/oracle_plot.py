"""Pictures of what the oracle, or a network, decides: spectrograms, pitch, gains and strengths over time, the filters.

Each ``..._figure`` is one picture; `draw` is all of them in one, for `percepnet oracle`.
"""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from percepnet.arrays import Samples
from percepnet.metrics.score import Scores
from percepnet.params import BINS, COMB_TAPS, FRAMES_PER_SECOND, HOP_SAMPLES, SAMPLE_RATE_HZ, SignalParams
from percepnet.plot import erb_rate, erb_rate_inverse, require_matplotlib
from percepnet.reference.bands import bands_of
from percepnet.reference.comb import comb_filter, upsample
from percepnet.reference.oracle import OracleResult

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

STEPS = {
    "noisy": "noisy",
    "bins": "bin magnitudes",
    "bands": "band magnitudes",
    "comb": "+ comb filter",
    "postfilter": "+ post-filter",
}
VOICED = 0.5  # pitch correlation above which a frame counts as voiced

LEVEL_RANGE_DB = 80.0
SPECTROGRAM_ROWS = 500
SPECTROGRAM_WINDOW_SAMPLES = 2048  # 43 ms: harmonics of low voices stand apart
TOP_HZ = 20_000.0
WIDTH_INCHES = 11.0


def draw(
    signals: dict[str, Samples], result: OracleResult, scores: dict[str, Scores], params: SignalParams, title: str
) -> "Figure":
    """One picture: spectrograms, pitch, gains and strengths over time, the bands, the comb filter.

    Parameters
    ----------
    signals : dict
        Name to np.ndarray [shape=(n,)] at 48 kHz; six of them.
    result : OracleResult
    scores : dict
        Of the signals that have some, for their titles.
    params : SignalParams
    title : str

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure = _new_figure(16, 19)
    figure.suptitle(title, fontsize=16)
    grid = figure.add_gridspec(5, 6, height_ratios=(1.15, 1.15, 0.8, 1.0, 0.85))
    # The same six columns serve three pictures a row and two.
    thirds = [grid[row, column : column + 2] for row in (0, 1) for column in (0, 2, 4)]
    first = figure.add_subplot(thirds[0])
    spectrograms = [first, *(figure.add_subplot(cell, sharex=first, sharey=first) for cell in thirds[1:])]
    pitch = figure.add_subplot(grid[2, :], sharex=first)
    gains, strengths = (figure.add_subplot(grid[3, columns], sharex=first) for columns in (slice(0, 3), slice(3, 6)))
    triangles, response = (figure.add_subplot(grid[4, columns]) for columns in (slice(0, 3), slice(3, 6)))

    _draw_spectrograms(figure, spectrograms, signals, scores, columns=3)
    _draw_pitch(figure, pitch, result.periods_samples, result.correlations)
    decisions = {"gains": (gains, result.gains), "comb filter strengths": (strengths, result.strengths)}
    _draw_decisions(figure, decisions, params)
    _draw_bands(triangles, params)
    _draw_comb_response(response, result.periods_samples, result.correlations, params)
    return figure


def spectrograms_figure(
    signals: dict[str, Samples], scores: dict[str, Scores] | None = None, *, columns: int = 1
) -> "Figure":
    """Spectrograms on one scale of level and an ERB scale of frequency; windows are long enough to part harmonics.

    Parameters
    ----------
    signals : dict
        Title, or a key of ``STEPS``, to np.ndarray [shape=(n,)] at 48 kHz, all of equal length.
    scores : dict, optional
        Of the signals that have some, for their titles.
    columns : int
        Pictures beside each other.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    PercepNetError
        Without matplotlib, as all functions of this kind.
    """
    rows = -(-len(signals) // columns)
    figure = _new_figure(WIDTH_INCHES, 0.5 + (2.2 if columns == 1 else 3.0) * rows)
    axes = list(figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).flat)
    for axis in axes[len(signals) :]:
        axis.set_axis_off()
    _draw_spectrograms(figure, axes[: len(signals)], signals, scores or {}, columns=columns)
    return figure


def pitch_figure(periods_samples: NDArray[Any], correlations: NDArray[Any]) -> "Figure":
    """The pitch contour, each frame coloured by how periodic it is.

    Parameters
    ----------
    periods_samples : np.ndarray [shape=(T,)]
        At 48 kHz, a row every 10 ms.
    correlations : np.ndarray [shape=(T,)]
        Of each frame with itself a period before, 0 to 1.

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure = _new_figure(WIDTH_INCHES, 2.8)
    _draw_pitch(figure, figure.subplots(), periods_samples, correlations)
    return figure


def decisions_figure(decisions: dict[str, NDArray[Any]], params: SignalParams | None = None) -> "Figure":
    """Gains or strengths of every band over time, side by side.

    Parameters
    ----------
    decisions : dict
        Title to np.ndarray [shape=(T, bands)] of numbers from 0 to 1, a row every 10 ms.
    params : SignalParams, optional

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure = _new_figure(WIDTH_INCHES, 3.2)
    axes = figure.subplots(1, len(decisions), sharex=True, squeeze=False)[0]
    pairs = {name: (axis, values) for axis, (name, values) in zip(axes, decisions.items(), strict=True)}
    _draw_decisions(figure, pairs, params or SignalParams())
    return figure


def bands_figure(params: SignalParams | None = None) -> "Figure":
    """The triangles by which bins belong to bands."""
    figure = _new_figure(WIDTH_INCHES, 2.6)
    _draw_bands(figure.subplots(), params or SignalParams())
    return figure


def comb_response_figure(
    periods_samples: NDArray[Any], correlations: NDArray[Any], params: SignalParams | None = None
) -> "Figure":
    """Frequency response of the comb filter at the median pitch of the voiced frames.

    Parameters
    ----------
    periods_samples, correlations : np.ndarray [shape=(T,)]
        As of `pitch_figure`.
    params : SignalParams, optional
    """
    figure = _new_figure(WIDTH_INCHES, 2.8)
    _draw_comb_response(figure.subplots(), periods_samples, correlations, params or SignalParams())
    return figure


def _new_figure(width_inches: float, height_inches: float) -> "Figure":
    require_matplotlib()
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width_inches, height_inches), layout="constrained")
    FigureCanvasAgg(figure)  # without pyplot, which keeps every figure
    return figure


def _draw_spectrograms(
    figure: "Figure", axes: "list[Axes]", signals: dict[str, Samples], scores: dict[str, Scores], columns: int
) -> None:
    from matplotlib.mlab import specgram

    seconds = len(next(iter(signals.values()))) / SAMPLE_RATE_HZ
    # Rows are narrow at the bottom, where the harmonics are, as the ear and the bands have it.
    rows = np.linspace(0, erb_rate(TOP_HZ), SPECTROGRAM_ROWS)
    bins = erb_rate_inverse(rows) * SPECTROGRAM_WINDOW_SAMPLES / SAMPLE_RATE_HZ
    levels_db = {}
    for name, signal in signals.items():
        padded = np.pad(signal, SPECTROGRAM_WINDOW_SAMPLES // 2)
        overlap = SPECTROGRAM_WINDOW_SAMPLES - HOP_SAMPLES
        power = np.asarray(specgram(padded, SPECTROGRAM_WINDOW_SAMPLES, SAMPLE_RATE_HZ, noverlap=overlap)[0])
        levels_db[name] = 10 * np.log10(power[bins.round().astype(int)] + 1e-20)
    top_db = max(float(level_db.max()) for level_db in levels_db.values())
    for axis, (name, level_db) in zip(axes, levels_db.items(), strict=True):
        image = axis.imshow(
            level_db,
            origin="lower",
            aspect="auto",
            extent=(0, seconds, 0, rows[-1]),
            vmin=top_db - LEVEL_RANGE_DB,
            vmax=top_db,
            cmap="magma",
        )
        measured = scores.get(name, {}).get("pesq_wb")
        axis.set_title(STEPS.get(name, name) + (f"  (PESQ-WB {measured:.2f})" if measured else ""), loc="left")
    shown_khz = (0.1, 0.5, 1, 2, 5, 10, 20)
    axes[0].set_yticks([erb_rate(1000 * khz) for khz in shown_khz], [f"{khz:g}" for khz in shown_khz])
    for i, axis in enumerate(axes):
        axis.tick_params(labelleft=i % columns == 0, labelbottom=i >= len(axes) - columns)
    for axis in axes[::columns]:
        axis.set_ylabel("frequency (kHz)")
    for axis in axes[-columns:]:
        axis.set_xlabel("time (s)")
    figure.colorbar(image, ax=axes, label="level (dB)", pad=0.01, aspect=40)


def _draw_pitch(figure: "Figure", axis: "Axes", periods_samples: NDArray[Any], correlations: NDArray[Any]) -> None:
    times_s = np.arange(len(periods_samples)) / FRAMES_PER_SECOND
    f0_hz = SAMPLE_RATE_HZ / periods_samples
    points = axis.scatter(times_s, f0_hz, c=correlations, s=14, cmap="viridis", vmin=0, vmax=1)
    axis.set_yscale("log")
    axis.set_ylim(60, 520)
    axis.set_yticks([62.5, 125, 250, 500], ["62.5", "125", "250", "500"])
    axis.minorticks_off()
    axis.grid(alpha=0.3)
    axis.set_ylabel("pitch (Hz)")
    axis.set_xlabel("time (s)")
    axis.set_title("pitch track, coloured by its correlation", loc="left")
    figure.colorbar(points, ax=axis, label="correlation", pad=0.01)


def _draw_decisions(figure: "Figure", decisions: "dict[str, tuple[Axes, NDArray[Any]]]", params: SignalParams) -> None:
    shown = np.unique(np.linspace(0, params.bands - 1, 8).round().astype(int))
    for name, (axis, values) in decisions.items():
        times_s = np.arange(len(values) + 1) / FRAMES_PER_SECOND - 0.5 / FRAMES_PER_SECOND
        extent = (times_s[0], times_s[-1], -0.5, params.bands - 0.5)
        image = axis.imshow(
            values.T, origin="lower", aspect="auto", extent=extent, vmin=0, vmax=1, interpolation="nearest"
        )
        axis.set_yticks(shown, [f"{params.band_edges[band] * 0.05:.3g}" for band in shown])
        axis.set_xlabel("time (s)")
        axis.set_title(name, loc="left")
    axes = [axis for axis, _ in decisions.values()]
    axes[0].set_ylabel("centre of band (kHz)")
    figure.colorbar(image, ax=axes, label="gain, strength", pad=0.01)


def _draw_bands(axis: "Axes", params: SignalParams) -> None:
    frequencies_khz = np.arange(BINS) * SAMPLE_RATE_HZ / 2 / (BINS - 1) / 1000
    for band, weights in enumerate(bands_of(params.band_edges).weights):
        shown = weights > 0
        shown[1:] |= shown[:-1].copy()
        shown[:-1] |= shown[1:].copy()
        axis.plot(frequencies_khz[shown], weights[shown], color=f"C{band % 10}", linewidth=1.2)
        axis.fill_between(frequencies_khz[shown], weights[shown], color=f"C{band % 10}", alpha=0.15, linewidth=0)
    axis.set_xscale("symlog", linthresh=0.5, linscale=0.6)
    axis.set_xticks([0, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20], ["0", "0.1", "0.2", "0.5", "1", "2", "5", "10", "20"])
    axis.minorticks_off()
    axis.set_xlim(0, TOP_HZ / 1000)
    axis.set_ylim(0, 1.05)
    axis.set_xlabel("frequency (kHz)")
    axis.set_ylabel("weight")
    axis.set_title(f"{params.bands} bands", loc="left")


def _draw_comb_response(
    axis: "Axes", periods_samples: NDArray[Any], correlations: NDArray[Any], params: SignalParams
) -> None:
    voiced = correlations > VOICED
    period = float(np.median(periods_samples[voiced] if voiced.any() else periods_samples))
    frequencies_hz = np.linspace(0, 1000, 2001)
    for future_samples, label, style in (
        (params.lookahead_frames * HOP_SAMPLES, f"{params.lookahead_frames * 10} ms of look-ahead", "-"),
        (COMB_TAPS * HOP_SAMPLES * 2, f"all {2 * COMB_TAPS + 1} taps", ":"),
    ):
        weights = comb_weights(period, future_samples)
        taps = np.arange(-COMB_TAPS, COMB_TAPS + 1)
        turns = np.outer(frequencies_hz / SAMPLE_RATE_HZ * period, taps)
        response_db = 20 * np.log10(np.abs(np.exp(-2j * np.pi * turns) @ weights) + 1e-6)
        noise_db = 10 * np.log10(np.sum(weights**2))
        axis.plot(frequencies_hz, response_db, style, color="C0", label=f"{label}: noise {noise_db:.1f} dB")
    axis.set_xlim(0, frequencies_hz[-1])
    axis.set_ylim(-45, 3)
    axis.grid(alpha=0.3)
    axis.legend(loc="lower right")
    axis.set_xlabel("frequency (Hz)")
    axis.set_ylabel("gain (dB)")
    axis.set_title(f"comb filter at {SAMPLE_RATE_HZ / period:.0f} Hz, the median pitch", loc="left")


def comb_weights(period_samples: float, future_samples: int) -> NDArray[np.float32]:
    """Weights that the comb filter gives its taps at a constant pitch.

    Parameters
    ----------
    period_samples : float
    future_samples : int
        How far it may look ahead.

    Returns
    -------
    np.ndarray [shape=(11,)]
        Of sum 1.
    """
    delays = np.arange(-COMB_TAPS, COMB_TAPS + 1)[None] * period_samples
    past = int(np.ceil(COMB_TAPS * period_samples)) + HOP_SAMPLES
    silence = np.zeros((1, 2 * past + 2 * HOP_SAMPLES), dtype=np.float32)
    return np.asarray(comb_filter(upsample(silence), np.array([past]), delays, future_samples)[1][0])
