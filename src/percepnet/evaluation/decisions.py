"""What systems decide, beside what would be best: errors of band gains, and how well speech is told from the rest."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from percepnet.acoustics.bandwidth import bandwidth_hz, known_bands
from percepnet.errors import AudioError
from percepnet.evaluation.gain_errors import GainErrors, errors_db, summary
from percepnet.evaluation.recordings import find_pairs, left_out, read_at_48k
from percepnet.evaluation.speech_detection import area_under_curve, detection
from percepnet.params import SAMPLE_RATE_HZ, SignalParams
from percepnet.progress import followed
from percepnet.systems.ours import model_of
from percepnet.systems.register import Register
from percepnet.systems.run import run_system

SAMPLES_MIN = SAMPLE_RATE_HZ // 10  # of what can be judged: a few windows


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


def judge_decisions(folder: Path, register: Register, names: Sequence[str]) -> tuple[list[SystemDecisions], list[str]]:
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
    found : list of SystemDecisions
        In the order of the names.
    failed : list of str
        What is wrong with the pairs that were left out, a sentence each.

    Raises
    ------
    PercepNetError
        If no pair or a system cannot be used.
    """
    params = SignalParams()
    errors: dict[str, list[np.ndarray]] = {name: [] for name in names}
    heard: dict[str, list[tuple[np.ndarray, np.ndarray]]] = {name: [] for name in names}
    pairs = find_pairs(folder)
    failed = left_out(folder, pairs_only=True)
    for pair in followed(pairs, len(pairs), "judging decisions"):
        try:
            clean, noisy = read_at_48k(pair)
            if len(clean) < SAMPLES_MIN:
                raise AudioError(f"{pair.noisy}: is shorter than {SAMPLES_MIN / SAMPLE_RATE_HZ:g} s")
        except AudioError as error:
            failed.append(str(error))
            continue
        known = known_bands(params, bandwidth_hz(clean, SAMPLE_RATE_HZ))
        for name in names:
            enhanced = run_system(register.start(name), noisy, clean).y
            errors[name].append(errors_db(enhanced, clean, noisy, params, known))
            model = model_of(name, register.model)
            if model is not None:
                heard[name].append(detection(clean, noisy, model))
    if not any(errors.values()):
        raise AudioError(failed[-1])
    return [SystemDecisions(name, summary(errors[name]), _area(heard[name])) for name in names], failed


def _area(heard: list[tuple[np.ndarray, np.ndarray]]) -> float | None:
    scores, labels = (np.concatenate([part[which] for part in heard] or [np.zeros(0)]) for which in (0, 1))
    return area_under_curve(scores, labels.astype(bool)) if len(scores) else None
