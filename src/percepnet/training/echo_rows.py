"""Scenes with echo turned into what a residual suppressor is trained on."""

from collections.abc import Sequence

import numpy as np

from percepnet import engine
from percepnet.acoustics.echoes import EchoMixer
from percepnet.arrays import Array
from percepnet.params import HOP_SAMPLES, SignalParams
from percepnet.reference import stft
from percepnet.reference.bands import bands_of
from percepnet.reference.echo_residual import residual_features
from percepnet.training.rows import UNKNOWN, RowLayout

SILENT_ENERGY = 1e-11  # of a band, with nothing in it that could be kept or not


def echo_sequence(mixer: EchoMixer, params: SignalParams, seed: Sequence[int], seconds: float) -> Array:
    """Features and targets of the scene of a seed.

    The wanted gain of a band is the amplitude of what is to be kept in it over that of it and what is left of the echo
    together. Speech and noise are kept alike: what is noise, another network decides.

    Returns
    -------
    np.ndarray [shape=(frames, columns of RowLayout)]
    """
    bands, layout = bands_of(params.band_edges), RowLayout(params)
    scene = mixer.scene(seed, seconds)
    samples = len(scene.microphone) // HOP_SAMPLES * HOP_SAMPLES
    near, far, kept = (np.asarray(x[:samples], np.float32) for x in scene[:3])
    left = engine.canceller().process(near[None], far)[0]
    spectra = np.stack([_spectra(x) for x in (left, near - left, far)], axis=1)
    wanted, rest = bands.energy(_spectra(kept)), bands.energy(_spectra(left - kept))
    gains = np.sqrt(wanted / (wanted + rest + 1e-12))
    gains[bands.energy(spectra[:, 0]) < SILENT_ENERGY] = UNKNOWN
    late = params.lookahead_frames  # row t belongs to the frame so much earlier
    gains = np.concatenate([np.full((late, params.bands), UNKNOWN), gains])[: len(gains)]
    rows = np.zeros((len(gains), layout.count), np.float32)
    rows[:, layout.features] = residual_features(bands, params, spectra)
    rows[:, layout.gains] = gains
    rows[:, layout.strengths] = np.maximum(gains, 0)
    return rows


def _spectra(x: Array) -> np.ndarray:
    begun = np.concatenate([np.zeros(HOP_SAMPLES, np.float32), x])
    return stft.analysis(stft.frames(begun))
