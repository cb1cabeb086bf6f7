"""Validation audio: what the network of this moment makes of a few held-out mixtures, as sound, scores and pictures.

In the folder `listening` of a run, each mixture has its clean, noisy and enhanced speech, and a picture of the gains
that the oracle decides on and of those that the network found. PESQ, STOI and DNSMOS need the packages of
percepnet[eval], pictures matplotlib; without them there is the sound, and its SI-SDR.
"""

import importlib.util
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import soundfile

from percepnet import engine
from percepnet.acoustics.levels import fit_length
from percepnet.arrays import Array
from percepnet.atomic import replacing
from percepnet.model import Model
from percepnet.params import FRAMES_PER_SECOND, SAMPLE_RATE_HZ, SignalParams
from percepnet.reference.network import Network
from percepnet.reference.oracle import training_example
from percepnet.stream import enhance
from percepnet.training.features import Recordings

FOLDER = "listening"
COUNT = 6
SECONDS = 10.0
# what is shown of each measure, and the packages that it needs
SCORES = {"pesq": "pesq_wb", "stoi": "stoi", "si_sdr": "si_sdr_db", "dnsmos": "dnsmos_ovrl"}
PACKAGES = {"pesq": ("pesq",), "stoi": ("pystoi",), "dnsmos": ("speechmos", "onnxruntime", "librosa")}
ALWAYS_NOISY_SPEECH: dict[str, Any] = {
    "no_speech_share": 0.0,
    "no_noise_share": 0.0,
    "low_snr_share": 0.0,
    "high_snr_share": 0.0,
}


class _Mixture(NamedTuple):
    clean: Array
    noisy: Array
    features: Array
    gains: Array
    scores: dict[str, float]  # of the noisy speech


class ValidationAudio:
    """A few held-out mixtures, always the same ones.

    Parameters
    ----------
    recordings : Recordings
        Those of the split "valid" are used.
    params : SignalParams
    run : Path
        The run's folder.
    seed : int
    count : int
        Mixtures.
    seconds : float
        Length of each.
    """

    def __init__(
        self,
        recordings: Recordings,
        params: SignalParams,
        run: Path,
        seed: int,
        *,
        count: int = COUNT,
        seconds: float = SECONDS,
    ) -> None:
        self.folder = run / FOLDER
        mixer = replace(recordings, mixing=replace(recordings.mixing, **ALWAYS_NOISY_SPEECH)).mixer("valid")
        self._mixtures: list[_Mixture] = []
        for number in range(count if mixer else 0):
            assert mixer is not None
            mixture = mixer.mixture([seed, 3, number], seconds)
            features, gains, _ = training_example(mixture.clean, mixture.noisy, params, analysis=engine.analysis)
            scores = _scores(mixture.clean, mixture.noisy)
            self._mixtures.append(_Mixture(mixture.clean, mixture.noisy, features, gains, scores))
            self._write(number, "clean", mixture.clean)
            self._write(number, "noisy", mixture.noisy)

    def __len__(self) -> int:
        return len(self._mixtures)

    def enhance(self, model: Model) -> dict[str, float]:
        """Enhance the mixtures; write the sounds and the pictures.

        Parameters
        ----------
        model : Model

        Returns
        -------
        dict of str to float
            Means of the `SCORES` whose packages are there, and of what the noisy speech has (`noisy_pesq_wb` and so
            on); empty where nothing is held out.
        """
        found = []
        for number, mixture in enumerate(self._mixtures):
            enhanced = np.asarray(enhance(mixture.noisy, SAMPLE_RATE_HZ, model=model), np.float32)
            self._write(number, "enhanced", enhanced)
            if importlib.util.find_spec("matplotlib") is not None:
                gains, _ = Network(model).run(mixture.features)
                save_gains(self.folder / f"{number}_gains.png", mixture.gains, gains)
            found.append(_scores(mixture.clean, enhanced))
        before = _means([mixture.scores for mixture in self._mixtures])
        return _means(found) | {f"noisy_{name}": value for name, value in before.items()}

    def _write(self, number: int, what: str, audio: Array) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        with replacing(self.folder / f"{number}_{what}.flac") as temporary:
            soundfile.write(temporary, np.clip(audio, -1, 1), SAMPLE_RATE_HZ, format="FLAC")


def save_gains(path: Path, oracle: Array, found: Array) -> None:
    """Draw the oracle's gains above the network's.

    Parameters
    ----------
    path : Path
        A PNG file, which appears when it is complete.
    oracle, found : np.ndarray [shape=(frames, bands)]
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 6), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(2, 1, sharex=True, sharey=True)
    extent = (0.0, len(oracle) / FRAMES_PER_SECOND, -0.5, oracle.shape[1] - 0.5)
    for axis, gains, name in zip(axes, (oracle, found), ("oracle", "network"), strict=True):
        image = axis.imshow(gains.T, origin="lower", aspect="auto", extent=extent, vmin=0, vmax=1, cmap="magma")
        axis.set_title(name, loc="left")
        axis.set_ylabel("band")
    axes[-1].set_xlabel("time (s)")
    figure.colorbar(image, ax=axes, label="gain")
    with replacing(path) as temporary:
        figure.savefig(temporary, format="png", dpi=80)


def available_scores() -> dict[str, str]:
    """Measures whose packages are there, and what is shown of each."""
    found = [measure for measure in SCORES if all(map(importlib.util.find_spec, PACKAGES.get(measure, ())))]
    return {measure: SCORES[measure] for measure in found}


def _scores(clean: Array, estimate: Array) -> dict[str, float]:
    from percepnet.metrics.score import score

    measures = list(available_scores())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of mixtures without enough speech, which are left out of the means
        found = score(clean, fit_length(estimate, len(clean)), SAMPLE_RATE_HZ, measures)
    return {SCORES[measure]: found[SCORES[measure]] for measure in measures}


def _means(scores: Sequence[Mapping[str, float]]) -> dict[str, float]:
    names = scores[0] if scores else ()
    values = {name: [score[name] for score in scores if np.isfinite(score[name])] for name in names}
    return {name: float(np.mean(some)) for name, some in values.items() if some}
