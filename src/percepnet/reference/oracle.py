"""What a perfect network would decide, for recordings whose clean speech is known: training targets and ceilings.

Which component of the noisy speech is the periodic one cannot be observed, but here the clean speech is at hand: its
own comb-filtered version, with the same taps, is the periodic component p, and every coherence is measured.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from percepnet.errors import AudioError
from percepnet.params import HOP_SAMPLES, NOISE_MASKING_TONE, SignalParams
from percepnet.reference import windows
from percepnet.reference.analysis import Analysis, Frames, FrontHalf
from percepnet.reference.bands import TINY, Bands, bands_of, coherence
from percepnet.reference.highpass import undo_phase
from percepnet.reference.mix import enhance_spectrum

Pitch = Literal["clean", "noisy"]
Strength = Literal["exact", "published"]
FRAMES_AT_ONCE = 32  # so that spectra stay in the cache


def exact_strength(q_x: np.ndarray, q_y: np.ndarray, q_p: np.ndarray, c: np.ndarray, d: np.ndarray) -> np.ndarray:
    """The strength that gives the mixture z = (1 - r) y + r p_hat the coherence of the clean speech.

    coh(z, p) = q_x is a quadratic in alpha d, alpha = r / (1 - r); its positive root is written without a 0 / 0.

    Parameters
    ----------
    q_x, q_y, q_p : np.ndarray
        Coherence with the periodic component of the clean speech, the noisy speech and the comb-filtered noisy speech.
    c : np.ndarray
        Coherence of the noisy speech and its comb-filtered version.
    d : np.ndarray
        Magnitude of the comb-filtered noisy speech over that of the noisy speech.

    Returns
    -------
    np.ndarray
        0 where the noisy speech is as periodic as the clean one already, 1 where even the comb filter is not enough.
    """
    a = q_p**2 - q_x**2
    b = q_p * q_y - q_x**2 * c
    shortfall = q_x**2 - q_y**2
    root = b + np.sqrt(np.maximum(b * b + a * shortfall, 0.0))
    return _strength(q_x, q_y, q_p, shortfall, d * root)


def published_strength(q_x: np.ndarray, q_y: np.ndarray, tap_energy: np.ndarray) -> np.ndarray:
    """The closed form of P20, which models q_p from q_y and takes the noise of y and p_hat for uncorrelated.

    Parameters
    ----------
    q_x, q_y : np.ndarray
        As in `exact_strength`.
    tap_energy : np.ndarray
        Sum of the squared weights of the comb filter.

    Returns
    -------
    np.ndarray
        Smaller than the exact strength: what it gives is less periodic than the clean speech.
    """
    q_p = q_y / np.sqrt((1.0 - tap_energy) * q_y**2 + tap_energy)
    a = q_p**2 - q_x**2
    b = q_p * q_y * (1.0 - q_x**2)
    shortfall = q_x**2 - q_y**2
    root = b + np.sqrt(np.maximum(b * b + a * shortfall, 0.0))
    return _strength(q_x, q_y, q_p, shortfall, root)


def _strength(
    q_x: np.ndarray, q_y: np.ndarray, q_p: np.ndarray, shortfall: np.ndarray, scaled_root: np.ndarray
) -> np.ndarray:
    """r = alpha / (1 + alpha) with alpha = shortfall / scaled_root, and its two ends."""
    r = shortfall / np.where(shortfall + scaled_root > 0.0, shortfall + scaled_root, 1.0)
    beyond_the_filter = (q_p <= q_x) | (scaled_root <= 0.0)
    r = np.where(beyond_the_filter, 1.0, np.clip(r, 0.0, 1.0))
    already_periodic = (q_x <= 0.0) | (q_y >= q_x) | (shortfall <= 0.0)
    return np.where(already_periodic, 0.0, r)


def extra_attenuation(q_x: np.ndarray, q_p: np.ndarray) -> np.ndarray:
    """P20's attenuation where the comb filter cannot reach the clean coherence, down to -15 dB.

    Parameters
    ----------
    q_x, q_p : np.ndarray
        As in `exact_strength`.

    Returns
    -------
    np.ndarray
        sqrt((1 + n0 - q_x^2) / (1 + n0 - q_p^2)), at most 1.
    """
    n0 = NOISE_MASKING_TONE
    ratio = (1.0 + n0 - np.clip(q_x, 0.0, 1.0) ** 2) / (1.0 + n0 - np.clip(q_p, 0.0, 1.0) ** 2)
    return np.sqrt(np.minimum(ratio, 1.0))


class Decisions(NamedTuple):
    """Gains and strengths of every frame, and the coherences that they come from. All have shape (T, bands)."""

    gains: np.ndarray
    strengths: np.ndarray
    clean_coherences: np.ndarray
    noisy_coherences: np.ndarray
    comb_coherences: np.ndarray


def decide(
    clean: Frames, noisy: Frames, bands: Bands, strength: Strength = "exact", extra: bool = False, steady: bool = False
) -> Decisions:
    """Oracle gains and strengths of mono frames.

    Parameters
    ----------
    clean, noisy : Frames
        Of one channel each, with the same taps.
    bands : Bands
    strength : "exact" or "published"
    extra : bool
        Include P20's extra attenuation in the gains. With the post-filter, which looks at what the comb filter left, it
        attenuates twice.
    steady : bool
        Measure coherences over three frames (1/4, 1/2, 1/4) instead of one: low bands are few bins wide, so that those
        of one frame jump from one end to the other, which no network can foresee.

    Returns
    -------
    Decisions
    """
    sums = _band_sums(clean, noisy, bands)
    gains = np.minimum(np.sqrt((sums.energy_x + TINY) / (sums.energy_y + TINY)), 1.0)
    if steady:
        sums = _BandSums(*map(_over_three_frames, sums))
    q_x = coherence(sums.x_p, sums.energy_x, sums.energy_p)
    q_y = coherence(sums.y_p, sums.energy_y, sums.energy_p)
    q_p = coherence(sums.p_hat_p, sums.energy_p_hat, sums.energy_p)
    if strength == "exact":
        c = coherence(sums.y_p_hat, sums.energy_y, sums.energy_p_hat)
        d = np.sqrt((sums.energy_p_hat + TINY) / (sums.energy_y + TINY))
        strengths = exact_strength(q_x, q_y, q_p, c, d)
    else:
        tap_energy = (noisy.tap_weights.astype(np.float64) ** 2).sum(axis=-1, keepdims=True)
        strengths = published_strength(q_x, q_y, tap_energy)
    if extra:
        gains = gains * np.where(strengths >= 1.0, extra_attenuation(q_x, q_p), 1.0)
    return Decisions(*(values.astype(np.float32) for values in (gains, strengths, q_x, q_y, q_p)))


class _BandSums(NamedTuple):
    """Energies and correlations of the clean (x) and noisy (y) speech and their comb-filtered versions (p, p_hat)."""

    energy_x: np.ndarray
    energy_y: np.ndarray
    energy_p: np.ndarray
    energy_p_hat: np.ndarray
    x_p: np.ndarray
    y_p: np.ndarray
    p_hat_p: np.ndarray
    y_p_hat: np.ndarray


def _band_sums(clean: Frames, noisy: Frames, bands: Bands) -> _BandSums:
    """In double precision, all of shape (T, bands)."""
    pieces = []
    for start in range(0, max(1, len(clean.noisy)), FRAMES_AT_ONCE):
        some = slice(start, start + FRAMES_AT_ONCE)
        x, y, p, p_hat = (s[some, 0].astype(np.complex128) for s in (clean.noisy, noisy.noisy, clean.comb, noisy.comb))
        energies = [bands.energy(s) for s in (x, y, p, p_hat)]
        correlations = [bands.correlation(*pair) for pair in ((x, p), (y, p), (p_hat, p), (y, p_hat))]
        pieces.append([*energies, *correlations])
    return _BandSums(*(np.concatenate(values) for values in zip(*pieces, strict=True)))


def _over_three_frames(values: np.ndarray) -> np.ndarray:
    around = np.pad(values, [(1, 1), (0, 0)], mode="edge")
    return np.asarray(0.25 * around[:-2] + 0.5 * around[1:-1] + 0.25 * around[2:])


def training_example(
    clean: np.ndarray,
    noisy: np.ndarray,
    params: SignalParams,
    *,
    strength: Strength = "exact",
    extra: bool = False,
    steady: bool = False,
    analysis: Callable[[SignalParams], FrontHalf] = Analysis,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Features and targets of one recording, as a causal network meets them.

    Parameters
    ----------
    clean, noisy : np.ndarray [shape=(n,)]
        At 48 kHz, aligned.
    params : SignalParams
    strength, extra, steady
        As in `decide`.
    analysis : callable
        What runs the signal path: this definition of it, or another engine's.

    Returns
    -------
    features : np.ndarray [shape=(n // 480, features)]
    gains, strengths : np.ndarray [shape=(n // 480, bands)]
        Row t holds what to decide when hop t has arrived: the targets of frame t - M.
    """
    whole = len(noisy) // HOP_SAMPLES * HOP_SAMPLES
    noisy_frames = analysis(params).push(noisy[None, :whole].astype(np.float32))
    clean_frames = analysis(params).push(clean[None, :whole].astype(np.float32), noisy_frames.tap_delays)
    decisions = decide(clean_frames, noisy_frames, bands_of(params.band_edges), strength, extra, steady)
    return noisy_frames.features, decisions.gains, decisions.strengths


@dataclass(frozen=True)
class OracleResult:
    """The article's progression as audio, and the decisions behind it.

    Attributes
    ----------
    bins, bands, comb, postfilter : np.ndarray [shape=(n,)]
        Per-bin magnitudes; magnitudes of the bands; with the comb filter; with the post-filter.
    periods_samples, correlations : np.ndarray [shape=(T,)]
        Row l belongs to frame l, centred on sample 480 * l.
    gains, strengths, coherences : np.ndarray [shape=(T, bands)]
        Coherences are those of the clean speech.
    """

    bins: np.ndarray
    bands: np.ndarray
    comb: np.ndarray
    postfilter: np.ndarray
    periods_samples: np.ndarray
    correlations: np.ndarray
    gains: np.ndarray
    strengths: np.ndarray
    coherences: np.ndarray


def oracle_steps(
    clean: np.ndarray,
    noisy: np.ndarray,
    params: SignalParams | None = None,
    pitch: Pitch = "clean",
    strength: Strength = "exact",
    extra: bool = False,
) -> OracleResult:
    """Enhance a recording with perfect decisions, one more step of the article at a time.

    Parameters
    ----------
    clean, noisy : np.ndarray [shape=(n,)]
        At 48 kHz, aligned, of equal length.
    params : SignalParams, optional
    pitch : "clean" or "noisy"
        The signal in which the pitch is found.
    strength, extra
        As in `decide`.

    Returns
    -------
    OracleResult
        Audio of the length of the input, without delay.

    Raises
    ------
    AudioError
        If the two differ in length, or are not of one channel.
    """
    if clean.ndim != 1 or clean.shape != noisy.shape:
        raise AudioError(
            f"clean and noisy must be mono and of equal length; found shapes {clean.shape} and {noisy.shape}"
        )
    params = params or SignalParams()
    bands = bands_of(params.band_edges)
    flush = params.latency_samples + -len(clean) % HOP_SAMPLES
    x, y = (np.pad(signal.astype(np.float32), (0, flush))[None] for signal in (clean, noisy))
    leader = Analysis(params, gives_out=False).push(x if pitch == "clean" else y)
    clean_frames = Analysis(params, gives_out=False).push(x, leader.tap_delays)
    noisy_frames = Analysis(params).push(y, leader.tap_delays)
    decisions = decide(clean_frames, noisy_frames, bands, strength, extra)
    gains, strengths = decisions.gains, decisions.strengths

    def audio(spectrum: np.ndarray) -> np.ndarray:
        return windows.overlap_add(spectrum)[0, params.latency_samples :][: len(clean)]

    def enhanced(strengths: np.ndarray, post_filter: bool) -> np.ndarray:
        noisy, comb = noisy_frames.noisy, noisy_frames.comb
        unturned = noisy_frames.unturned, noisy_frames.combs * undo_phase(params.highpass_hz)
        return audio(enhance_spectrum(noisy, comb, gains, strengths, bands, post_filter=post_filter, unturned=unturned))

    magnitude = np.minimum(np.abs(clean_frames.noisy) / (np.abs(noisy_frames.noisy) + TINY), 1.0)
    frame_rows = slice(params.lookahead_frames, None)
    return OracleResult(
        bins=audio(magnitude[:, None] * noisy_frames.unturned),
        bands=enhanced(np.zeros_like(strengths), False),
        comb=enhanced(strengths, False),
        postfilter=enhanced(strengths, True),
        periods_samples=leader.periods_samples[frame_rows],
        correlations=leader.correlations[frame_rows],
        gains=gains[frame_rows],
        strengths=strengths[frame_rows],
        coherences=decisions.clean_coherences[frame_rows],
    )
