"""Metrics of echo control: AECMOS, and by how much the power goes down.

Both look at three signals of one time: the microphone, the far end that a loudspeaker plays, and the result.
"""

from typing import Any, Literal

import numpy as np
import soxr

from percepnet.arrays import Samples
from percepnet.errors import PercepNetError
from percepnet.metrics.score import metric_package

AECMOS_RATE_HZ = 16_000
AECMOS_MAX_S = 20  # of what the package looks at: the rest is left out by it
Scenario = Literal["doubletalk", "farend_singletalk", "nearend_singletalk"]
MARKS: dict[str, str] = {"doubletalk": "dt", "farend_singletalk": "st", "nearend_singletalk": "nst"}


def aecmos(
    microphone: Samples, far_end: Samples, estimate: Samples, sample_rate_hz: int, scenario: Scenario
) -> dict[str, float]:
    """AECMOS (Purin et al. 2022): mean opinion scores of 1 to 5 of echo control, as a network predicts them.

    Parameters
    ----------
    microphone, far_end, estimate : np.ndarray [shape=(n,)]
        What a microphone heard, what the loudspeaker played meanwhile, and what is judged, aligned with the microphone.
        Of more than 20 s the last 20 are taken, in which an echo canceller has settled.
    sample_rate_hz : int
        Rate of all; they are resampled to 16 kHz.
    scenario : str
        Who speaks: "doubletalk", "farend_singletalk" or "nearend_singletalk".

    Returns
    -------
    dict
        ``aecmos_echo``, how little of the echo is heard, and ``aecmos_other``, how little else is degraded.

    Raises
    ------
    PercepNetError
        If the package ``speechmos`` is missing, or the lengths differ.
    """
    package = metric_package("speechmos.aecmos")
    _check_lengths(microphone, far_end, estimate)
    last = AECMOS_MAX_S * AECMOS_RATE_HZ - 1  # the package cuts and warns from 20 s on
    signals = (
        np.clip(soxr.resample(x, sample_rate_hz, AECMOS_RATE_HZ), -1.0, 1.0) for x in (far_end, microphone, estimate)
    )
    sample: dict[str, Any] = dict(zip(("lpb", "mic", "enh"), (x[-last:] for x in signals), strict=True))
    found = package.run(sample, sr=AECMOS_RATE_HZ, talk_type=MARKS[scenario])
    return {"aecmos_echo": float(found["echo_mos"]), "aecmos_other": float(found["deg_mos"])}


def reduction(microphone: Samples, estimate: Samples) -> dict[str, float]:
    """By how much the power of a recording goes down; where only the far end speaks, the echo return loss enhancement.

    Parameters
    ----------
    microphone, estimate : np.ndarray [shape=(n,)]

    Returns
    -------
    dict
        ``reduction_db``; nan for a silent microphone, infinite for a silent estimate.

    Raises
    ------
    PercepNetError
        If the lengths differ.
    """
    _check_lengths(microphone, microphone, estimate)
    before, after = (float(np.mean(x.astype(np.float64) ** 2)) for x in (microphone, estimate))
    with np.errstate(divide="ignore"):
        return {"reduction_db": float(10 * (np.log10(before) - np.log10(after))) if before else np.nan}


def _check_lengths(microphone: Samples, far_end: Samples, estimate: Samples) -> None:
    shapes = {x.shape for x in (microphone, far_end, estimate)}
    if len(shapes) != 1 or microphone.ndim != 1:
        raise PercepNetError(
            "echo is judged by mono signals of one length; microphone, far end and result have shapes "
            f"{microphone.shape}, {far_end.shape}, {estimate.shape}"
        )
