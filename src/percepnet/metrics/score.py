"""Metrics of speech: PESQ, STOI, SI-SDR, the composite metrics, DNSMOS and SRMR.

Each comes from the package that its field uses, where one runs. PESQ, STOI, SI-SDR and the composite metrics compare
with the clean speech, which must be aligned in time; DNSMOS and SRMR take the result alone. All take mono signals
of one rate. Where a metric is not defined (a silent reference, less than a quarter of a second) the result is nan, with
a warning.
"""

import importlib
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import soxr

from percepnet.arrays import Samples
from percepnet.errors import PercepNetError, installing
from percepnet.metrics import composite as composite_measures
from percepnet.metrics import srmr as srmr_measure
from percepnet.params import SAMPLE_RATE_HZ

PESQ_RATES_HZ = {"wb": 16_000, "nb": 8_000}
DNSMOS_RATE_HZ = 16_000
STOI_MIN_S = 0.4
SHORTEST_S = 0.3  # of what composite metrics and SRMR can judge: their windows have to fit

Scores = dict[str, float]


def pesq(reference: Samples, estimate: Samples, sample_rate_hz: int) -> Scores:
    """Perceptual evaluation of speech quality, ITU-T P.862.2 (wide band) and P.862.1 (narrow band).

    From 1, bad, to 4.64 and 4.55.

    Parameters
    ----------
    reference, estimate : np.ndarray [shape=(n,)]
        Clean speech and what is judged, aligned in time.
    sample_rate_hz : int
        Rate of both; they are resampled to 16 kHz and 8 kHz.

    Returns
    -------
    dict
        ``pesq_wb`` and ``pesq_nb``.

    Raises
    ------
    PercepNetError
        If the lengths differ or the package ``pesq`` is missing.
    """
    package = metric_package("pesq")
    names = {mode: f"pesq_{mode}" for mode in PESQ_RATES_HZ}
    if not _comparable(reference, estimate, "PESQ"):
        return dict.fromkeys(names.values(), np.nan)
    scores = {}
    for mode, rate_hz in PESQ_RATES_HZ.items():
        x, y = (soxr.resample(signal, sample_rate_hz, rate_hz) for signal in (reference, estimate))
        try:
            scores[names[mode]] = float(package.pesq(rate_hz, x, y, mode))
        except (package.NoUtterancesError, package.BufferTooShortError) as error:
            warnings.warn(f"PESQ found no speech: {error}", stacklevel=2)
            scores[names[mode]] = np.nan
    return scores


def stoi(reference: Samples, estimate: Samples, sample_rate_hz: int) -> Scores:
    """Short-time objective intelligibility (Taal et al. 2011) and its extension (Jensen and Taal 2016): 0 to 1.

    Parameters
    ----------
    reference, estimate : np.ndarray [shape=(n,)]
        Clean speech and what is judged, aligned in time.
    sample_rate_hz : int
        Rate of both.

    Returns
    -------
    dict
        ``stoi`` and ``estoi``.

    Raises
    ------
    PercepNetError
        If the lengths differ or the package ``pystoi`` is missing.
    """
    package = metric_package("pystoi")
    if len(reference) < STOI_MIN_S * sample_rate_hz:  # pystoi fails for less than a frame
        warnings.warn("STOI needs 0.4 s of speech", stacklevel=2)
        return {"stoi": np.nan, "estoi": np.nan}
    if not _comparable(reference, estimate, "STOI"):
        return {"stoi": np.nan, "estoi": np.nan}
    with warnings.catch_warnings():
        # For less than 0.4 s of speech pystoi warns and returns 1e-5, which would spoil a mean.
        warnings.simplefilter("error", RuntimeWarning)
        try:
            return {
                "stoi": float(package.stoi(reference, estimate, sample_rate_hz)),
                "estoi": float(package.stoi(reference, estimate, sample_rate_hz, extended=True)),
            }
        except RuntimeWarning:
            pass
    warnings.warn("STOI needs 0.4 s of speech", stacklevel=2)
    return {"stoi": np.nan, "estoi": np.nan}


def si_sdr(reference: Samples, estimate: Samples, sample_rate_hz: int) -> Scores:
    """Scale-invariant signal-to-distortion ratio (Le Roux et al. 2019).

    ``10 log10(|a x|^2 / |a x - y|^2)`` with ``a = <x, y> / |x|^2``, of the signals without their means.

    Parameters
    ----------
    reference, estimate : np.ndarray [shape=(n,)]
        Clean speech x and what is judged y, aligned in time.
    sample_rate_hz : int
        Not used: the same for every metric.

    Returns
    -------
    dict
        ``si_sdr_db``; infinite where the estimate is the reference scaled.

    Raises
    ------
    PercepNetError
        If the lengths differ.
    """
    del sample_rate_hz
    if not _comparable(reference, estimate, "SI-SDR"):
        return {"si_sdr_db": np.nan}
    x, y = (signal.astype(np.float64) - signal.mean(dtype=np.float64) for signal in (reference, estimate))
    target = x * (x @ y) / (x @ x)
    error = target - y
    with np.errstate(divide="ignore"):
        return {"si_sdr_db": float(10 * np.log10((target @ target) / (error @ error)))}


def composite(reference: Samples, estimate: Samples, sample_rate_hz: int, *, pesq_wb: float | None = None) -> Scores:
    """Composite measures (Hu and Loizou 2008): mean opinion scores of speech, background and whole, 1 to 5.

    Parameters
    ----------
    reference, estimate : np.ndarray [shape=(n,)]
        Clean speech and what is judged, aligned in time.
    sample_rate_hz : int
        Rate of both; they are resampled to 16 kHz.
    pesq_wb : float, optional
        Their wide-band PESQ, where it is known already.

    Returns
    -------
    dict
        ``csig``, ``cbak`` and ``covl``.

    Raises
    ------
    PercepNetError
        If the lengths differ or the package ``pesq`` is missing.
    """
    names = ("csig", "cbak", "covl")
    metric_package("pesq")
    if not _comparable(reference, estimate, "composite"):
        return dict.fromkeys(names, np.nan)
    if pesq_wb is None:
        pesq_wb = pesq(reference, estimate, sample_rate_hz)["pesq_wb"]
    if not np.isfinite(pesq_wb) or len(reference) < SHORTEST_S * sample_rate_hz:
        return dict.fromkeys(names, np.nan)
    x, y = (soxr.resample(signal, sample_rate_hz, composite_measures.RATE_HZ) for signal in (reference, estimate))
    return dict(zip(names, composite_measures.composite_scores(x, y, pesq_wb), strict=True))


def dnsmos(reference: Samples | None, estimate: Samples, sample_rate_hz: int) -> Scores:
    """DNSMOS (Reddy et al. 2021, 2022): mean opinion scores of 1 to 5, as networks predict them.

    Of speech, background and whole, after ITU-T P.835; and one overall, after P.808.

    Parameters
    ----------
    reference : np.ndarray
        Not used: the metric takes the estimate alone.
    estimate : np.ndarray [shape=(n,)]
        Repeated by the package where it is shorter than 9 s.
    sample_rate_hz : int
        Rate of the estimate; it is resampled to 16 kHz.

    Returns
    -------
    dict
        ``dnsmos_sig``, ``dnsmos_bak``, ``dnsmos_ovrl`` and ``dnsmos_p808``.

    Raises
    ------
    PercepNetError
        If the package ``speechmos`` is missing.
    """
    del reference
    package = metric_package("speechmos.dnsmos")
    y = np.clip(soxr.resample(estimate, sample_rate_hz, DNSMOS_RATE_HZ), -1.0, 1.0)
    result = package.run(y, sr=DNSMOS_RATE_HZ)
    return {f"dnsmos_{part}": float(result[f"{part}_mos"]) for part in ("sig", "bak", "ovrl", "p808")}


def srmr(reference: Samples | None, estimate: Samples, sample_rate_hz: int) -> Scores:
    """Speech-to-reverberation modulation energy ratio (Falk et al. 2010): high for dry speech, low for a large room.

    Parameters
    ----------
    reference : np.ndarray
        Not used: the metric takes the estimate alone.
    estimate : np.ndarray [shape=(n,)]
    sample_rate_hz : int
        Rate of the estimate; it is resampled to 16 kHz.

    Returns
    -------
    dict
        ``srmr``; nan for silence and for less than 0.3 s.

    Raises
    ------
    PercepNetError
        If the package ``gammatone`` is missing.
    """
    del reference
    metric_package("gammatone")
    if not np.any(estimate) or len(estimate) < SHORTEST_S * sample_rate_hz:
        warnings.warn("SRMR says nothing: the estimate is silent or shorter than 0.3 s", stacklevel=2)
        return {"srmr": np.nan}
    y = soxr.resample(estimate, sample_rate_hz, srmr_measure.RATE_HZ)
    return {"srmr": srmr_measure.speech_to_reverberation_ratio(y)}


METRICS: dict[str, Callable[[Samples, Samples, int], Scores]] = {
    "pesq": pesq,
    "stoi": stoi,
    "si_sdr": si_sdr,
    "composite": composite,
    "dnsmos": dnsmos,
    "srmr": srmr,
}
REFERENCE_FREE = ("dnsmos", "srmr")
TITLES = {
    "pesq_wb": "PESQ-WB",
    "pesq_nb": "PESQ-NB",
    "stoi": "STOI",
    "estoi": "ESTOI",
    "si_sdr_db": "SI-SDR (dB)",
    "dnsmos_sig": "DNSMOS SIG",
    "dnsmos_bak": "DNSMOS BAK",
    "dnsmos_ovrl": "DNSMOS OVRL",
    "dnsmos_p808": "DNSMOS P.808",
    "csig": "CSIG",
    "cbak": "CBAK",
    "covl": "COVL",
    "srmr": "SRMR",
}


def check_metrics(names: Sequence[str]) -> None:
    """Refuse metrics that there are not.

    Raises
    ------
    PercepNetError
        That names the first of them.
    """
    for name in names:
        if name not in METRICS:
            raise PercepNetError(f"unknown metric {name!r}: choose from {', '.join(METRICS)}")


def measurable(metrics: Sequence[str]) -> tuple[tuple[str, ...], dict[str, str]]:
    """Those whose packages are there, and the reasons of the others: before the work, not in the middle."""
    probe = np.random.default_rng(0).standard_normal(SAMPLE_RATE_HZ).astype(np.float32) * np.float32(0.1)
    check_metrics(metrics)
    available, skipped = [], {}
    for name in metrics:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                score(probe, probe, SAMPLE_RATE_HZ, (name,))
        except PercepNetError as error:
            skipped[name] = str(error)
        else:
            available.append(name)
    if not available:
        raise PercepNetError(f"no metric can be taken: {'; '.join(skipped.values()) or 'none is asked for'}")
    return tuple(available), skipped


def score(
    reference: Samples | None, estimate: Samples, sample_rate_hz: int, metrics: Sequence[str] = tuple(METRICS)
) -> Scores:
    """All metrics of one signal.

    Parameters
    ----------
    reference, estimate : np.ndarray [shape=(n,)]
        Clean speech and what is judged, aligned in time. Without a reference only metrics that need none are taken.
    sample_rate_hz : int
        Rate of both.
    metrics : sequence of str
        Keys of ``METRICS``.

    Returns
    -------
    dict
        Name to score; the names are the keys of ``TITLES``.

    Raises
    ------
    PercepNetError
        If a metric is unknown, its package is missing, or the lengths differ.
    """
    check_metrics(metrics)
    scores: Scores = {}
    for name in metrics:
        if reference is None:
            if name in REFERENCE_FREE:  # they ignore what stands in for the reference
                scores |= METRICS[name](estimate, estimate, sample_rate_hz)
        elif name == "composite":  # PESQ is a part of it, and slow
            scores |= composite(reference, estimate, sample_rate_hz, pesq_wb=scores.get("pesq_wb"))
        else:
            scores |= METRICS[name](reference, estimate, sample_rate_hz)
    return scores


def _comparable(reference: Samples, estimate: Samples, measure: str) -> bool:
    if reference.ndim != 1 or reference.shape != estimate.shape:
        raise PercepNetError(
            f"{measure} compares mono signals of equal length; "
            f"the reference has shape {reference.shape}, the estimate {estimate.shape}"
        )
    silent = next((name for name, x in (("reference", reference), ("estimate", estimate)) if not np.any(x)), None)
    if silent:
        warnings.warn(f"{measure} says nothing: the {silent} is silent", stacklevel=3)
    return silent is None


def metric_package(module: str) -> Any:
    """The package that takes a metric.

    Raises
    ------
    PercepNetError
        If it is missing. The message names the command that installs it.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        name = module.partition(".")[0]
        extra = "peers" if name == "gammatone" else "eval"
        raise PercepNetError(f"{name} cannot be imported ({error}): {installing(extra)}") from error
