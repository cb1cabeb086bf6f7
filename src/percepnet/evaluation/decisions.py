"""What systems decide, beside what would be best: errors of band gains, and how well speech is told from the rest."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from percepnet.acoustics.bandwidth import bandwidth_hz, known_bands
from percepnet.evaluation.gain_errors import GainErrors, errors_db, summary
from percepnet.evaluation.recordings import find_pairs, read_at_48k
from percepnet.evaluation.speech_detection import area_under_curve, detection
from percepnet.params import SAMPLE_RATE_HZ, SignalParams
from percepnet.progress import followed
from percepnet.systems.ours import model_of
from percepnet.systems.register import Register
from percepnet.systems.run import run_system


@dataclass(frozen=True)
class SystemDecisions:
    """Decisions of one system over all recordings.

    Parameters
    ----------
    system : str
    gains : GainErrors
    speech_area : float or None
        Area under the curve of its speech probability; None for those that say none.
    """

    system: str
    gains: GainErrors
    speech_area: float | None


def judge_decisions(folder: Path, register: Register, names: Sequence[str]) -> list[SystemDecisions]:
    """Judge systems on all pairs of a folder.

    Parameters
    ----------
    folder : path
        With `clean/` and `noisy/`.
    register : Register
    names : sequence of str
        Of systems in it.

    Returns
    -------
    list of SystemDecisions
        In the order of the names.

    Raises
    ------
    PercepNetError
        If a recording or a system cannot be used.
    """
    params = SignalParams()
    errors: dict[str, list[np.ndarray]] = {name: [] for name in names}
    heard: dict[str, list[tuple[np.ndarray, np.ndarray]]] = {name: [] for name in names}
    pairs = find_pairs(folder)
    for pair in followed(pairs, len(pairs), "judging decisions"):
        clean, noisy = read_at_48k(pair)
        known = known_bands(params, bandwidth_hz(clean, SAMPLE_RATE_HZ))
        for name in names:
            enhanced = run_system(register.start(name), noisy, clean).y
            errors[name].append(errors_db(enhanced, clean, noisy, params, known))
            model = model_of(name, register.model)
            if model is not None:
                heard[name].append(detection(clean, noisy, model))
    return [SystemDecisions(name, summary(errors[name]), _area(heard[name])) for name in names]


def _area(heard: list[tuple[np.ndarray, np.ndarray]]) -> float | None:
    scores, labels = (np.concatenate([part[which] for part in heard] or [np.zeros(0)]) for which in (0, 1))
    return area_under_curve(scores, labels.astype(bool)) if len(scores) else None
