"""What the network sees of a frame: how loud each band is, how periodic, and its pitch.

Energies come from the newest frame, so they carry the look-ahead; coherences and the period belong to the frame that is
decided on (P21). The scaling is fixed, so that weights need no statistics of their training data to go with them.

Beside the published blocks there are levels of recordings that are lifted where they are quiet, and levels relative to
their own running mean of about two seconds: those do not depend on how loud a recording is, nor on the colour of its
microphone, nor on how long a noise lasts.
"""

import numpy as np

from percepnet.errors import ModelError
from percepnet.params import ECHO_FEATURES, RELATIVE_BINS, WINDOW_SAMPLES, SignalParams
from percepnet.reference.bands import Bands, bands_of
from percepnet.reference.gain_control import GainControl
from percepnet.reference.pitch import SILENT_PERIOD_SAMPLES

_WINDOW_ENERGY = WINDOW_SAMPLES / 2  # of a window whose squares add up to one
FLOOR = np.float32(1e-10)  # -100 dB: the rounding noise of 16-bit audio
CENTRE_DB, SPAN_DB = np.float32(-60.0), np.float32(30.0)

# Of the running mean, which is that of all frames before as many have been heard. It falls faster than it rises, so
# that someone far away is heard sooner after someone near, and a voice after noise does not make itself softer.
RELATIVE_RISE_FRAMES = 240
RELATIVE_FALL_FRAMES = 150
RELATIVE_FLOOR = np.float32(1e-13)  # -130 dB: far below, so that quiet recordings are what loud ones are
RELATIVE_SILENCE = np.float32(1e-11)  # -110 dB, of the loudest band: digital silence, which says nothing about a room


def silent_energy(bands: Bands) -> np.ndarray:
    """Energy of a band that holds nothing but the rounding noise of 16-bit audio.

    Returns
    -------
    np.ndarray [shape=(bands,), dtype=float32]
    """
    return FLOOR * np.float32(_WINDOW_ENERGY) * bands.widths


def band_levels(energies: np.ndarray, bands: Bands) -> np.ndarray:
    """Mean power of a bin of each band, as (dB + 60) / 30.

    Parameters
    ----------
    energies : np.ndarray [shape=(..., bands)]
        For samples in [-1, 1].
    bands : Bands

    Returns
    -------
    np.ndarray [shape=(..., bands), dtype=float32]
    """
    return _scaled(_powers(energies, bands), FLOOR)


class RelativeLevels:
    """Levels minus their running means, frame by frame.

    A mean takes in the frame first and then is subtracted, so that a stream begins with zeros. Frames of digital
    silence leave the means as they are.

    Parameters
    ----------
    count : int
        Bands or bins.
    """

    def __init__(self, count: int) -> None:
        self._means = np.zeros(count, np.float32)
        self._heard = 0

    def push(self, powers: np.ndarray, silent: np.ndarray) -> np.ndarray:
        """The next frames.

        Parameters
        ----------
        powers : np.ndarray [shape=(T, count)]
            Mean power of a bin, for samples in [-1, 1].
        silent : np.ndarray [shape=(T,), dtype=bool]

        Returns
        -------
        np.ndarray [shape=(T, count), dtype=float32]
            In steps of 30 dB.
        """
        levels = _scaled(powers, RELATIVE_FLOOR)
        for row, is_silent in zip(levels, silent, strict=True):
            if not is_silent:
                self._heard = min(self._heard + 1, RELATIVE_RISE_FRAMES)
                rise, fall = np.float32(1 / self._heard), np.float32(1 / min(self._heard, RELATIVE_FALL_FRAMES))
                self._means += np.where(row < self._means, fall, rise) * (row - self._means)
            row[:] = row - self._means if self._heard else 0
        return levels


class Features:
    """The network's input of a stream, each number of the order of one.

    Parameters
    ----------
    params : SignalParams
    """

    def __init__(self, params: SignalParams) -> None:
        self._blocks = params.feature_blocks
        if set(self._blocks) & set(ECHO_FEATURES):
            raise ModelError("model: it hears what is left of an echo, and enhances nothing")
        self._bands = bands_of(params.band_edges)
        self._of_bands = RelativeLevels(params.bands)
        self._of_bins = RelativeLevels(RELATIVE_BINS)
        self._gain_control = GainControl()

    def push(
        self,
        energies: np.ndarray,
        bins: np.ndarray,
        coherences: np.ndarray,
        periods_samples: np.ndarray,
        correlations: np.ndarray,
    ) -> np.ndarray:
        """The next frames.

        Parameters
        ----------
        energies : np.ndarray [shape=(T, bands)]
            Band energies of the newest frames, for samples in [-1, 1].
        bins : np.ndarray [shape=(T, 481)]
            Energies of their bins.
        coherences : np.ndarray [shape=(T, bands)]
            Band coherences of the decided frames with their comb-filtered versions.
        periods_samples, correlations : np.ndarray [shape=(T,)]

        Returns
        -------
        np.ndarray [shape=(T, features), dtype=float32]
            Blocks in the order of `SignalParams.feature_blocks`. `band_levels`: mean power of a bin as (dB + 60) / 30;
            `coherences`; `pitch`: log2(period / 272), 2 * correlation - 1; `relative_band_levels` and
            `relative_bin_levels` (0 to 5 kHz): as `RelativeLevels`; `lifted_band_levels`: `band_levels` behind
            `GainControl`.
        """
        powers = _powers(energies, self._bands)
        silent = powers.max(axis=-1) < RELATIVE_SILENCE
        octaves = np.log2(np.asarray(periods_samples) / SILENT_PERIOD_SAMPLES)
        found: dict[str, np.ndarray] = {
            "band_levels": _scaled(powers, FLOOR),
            "coherences": coherences,
            "pitch": np.stack([octaves, 2.0 * np.asarray(correlations) - 1.0], axis=-1),
        }
        if "relative_band_levels" in self._blocks:
            found["relative_band_levels"] = self._of_bands.push(powers, silent)
        if "relative_bin_levels" in self._blocks:
            found["relative_bin_levels"] = self._of_bins.push(
                bins[:, :RELATIVE_BINS] / np.float32(_WINDOW_ENERGY), silent
            )
        if "lifted_band_levels" in self._blocks:
            gains = self._gain_control.push(energies.sum(axis=-1), silent)
            found["lifted_band_levels"] = _scaled(powers * gains[:, None], FLOOR)
        return np.concatenate([found[block] for block in self._blocks], axis=-1).astype(np.float32)


def _powers(energies: np.ndarray, bands: Bands) -> np.ndarray:
    """Mean power of a bin of each band."""
    powers: np.ndarray = energies / (np.float32(_WINDOW_ENERGY) * bands.widths)
    return powers


def _scaled(powers: np.ndarray, floor: np.float32) -> np.ndarray:
    scaled: np.ndarray = (10.0 * np.log10(powers + floor) - CENTRE_DB) / SPAN_DB
    return scaled
