"""From decisions to a spectrum: mix noisy and comb-filtered speech band by band, then give each band its magnitude."""

import numpy as np

from percepnet.reference.bands import TINY, Bands
from percepnet.reference.postfilter import postfilter

# A band in which the comb filter cancelled nearly everything is not blown up again beyond this (12 dB).
RESCALE_MAX = np.float32(4.0)
# Bands centred at up to 100 Hz have the level that the network hears, behind its high-pass.
HEARD_TO_BIN = 2


def mix(noisy: np.ndarray, comb: np.ndarray, strengths: np.ndarray, bands: Bands) -> np.ndarray:
    """Replace a part of each band by its comb-filtered version, z = (1 - r) y + r p (P21).

    Parameters
    ----------
    noisy, comb : np.ndarray [shape=(..., channels, 481), complex]
    strengths : np.ndarray [shape=(..., bands)]
        0 leaves a band alone, 1 replaces it.
    bands : Bands

    Returns
    -------
    np.ndarray [shape=(..., channels, 481), complex64]
    """
    return noisy + bands.to_bins(strengths)[..., None, :] * (comb - noisy)


def enhance_spectrum(
    noisy: np.ndarray,
    comb: np.ndarray,
    gains: np.ndarray,
    strengths: np.ndarray,
    bands: Bands,
    *,
    post_filter: bool = True,
    unturned: tuple[np.ndarray, np.ndarray] | None = None,
) -> np.ndarray:
    """Apply gains and strengths to a frame (P20's "scale bands": the mixture is rescaled to the wanted magnitudes).

    The post-filter judges what is still noisy after the comb filter, by the gain that the mixture needs rather than by
    the gain of the noisy band: a band that the comb filter has cleaned is not attenuated again. All channels get the
    same change of magnitude in each band, so that a stereo image stays where it was.

    Parameters
    ----------
    noisy, comb : np.ndarray [shape=(T, channels, 481), complex]
    gains, strengths : np.ndarray [shape=(T, bands)]
        Gains are the wanted magnitudes over those of the noisy bands.
    bands : Bands
    post_filter : bool
    unturned : tuple of two np.ndarray [shape=(T, windows, channels, 481), complex], optional
        The windows that are given out, with their phases, in place of the frame that the network hears. Each has levels
        of its own, but for the lowest bands: those are the frame's, as all are if it is given out alone.

    Returns
    -------
    np.ndarray [shape=(T, channels, 481), complex64], or (T, windows, channels, 481) of `unturned`
    """
    heard = mix(noisy, comb, strengths, bands)
    if unturned is None:
        scale = _scale(bands.energy(noisy), bands.energy(heard), gains, post_filter)
        return bands.to_bins(scale) * heard
    mixed = mix(*unturned, strengths[:, None], bands)
    energy_noisy, energy_mixed = bands.energy(unturned[0]), bands.energy(mixed)
    is_alone = unturned[0].shape[1] == 1
    low = len(bands.edges) if is_alone else sum(edge <= HEARD_TO_BIN for edge in bands.edges)
    energy_noisy[..., :low] = bands.energy(noisy)[:, None, :, :low]
    energy_mixed[..., :low] = bands.energy(heard)[:, None, :, :low]
    return bands.to_bins(_scale(energy_noisy, energy_mixed, gains[:, None], post_filter)) * mixed


def _scale(energy_noisy: np.ndarray, energy_mixed: np.ndarray, gains: np.ndarray, post_filter: bool) -> np.ndarray:
    """Of the bands of all channels, which are the last axis but one."""
    if post_filter:
        total_mixed = energy_mixed.sum(axis=-2)
        wanted = gains * _rescale(energy_noisy.sum(axis=-2), total_mixed)
        gains = gains * postfilter(wanted, total_mixed) / (wanted + TINY)
    return np.asarray(gains[..., None, :] * _rescale(energy_noisy, energy_mixed))


def _rescale(energy_noisy: np.ndarray, energy_mixed: np.ndarray) -> np.ndarray:
    return np.minimum(np.sqrt((energy_noisy + TINY) / (energy_mixed + TINY)), RESCALE_MAX)
