"""What the linear canceller leaves of an echo: a small network says how much of each band is none.

A loudspeaker that distorts, a room longer than the filter, a path that moves: the rest of an echo sounds like speech,
and the enhancement keeps it. This network hears what is left, the echo that was taken away and the far end, and nothing
else; what it finds is taken out of each frame bin by bin (`echo_shape`), whatever network enhances it then.
Where for some time hardly anything was but echo, frames are turned down further. Without a far end it is not there.
"""

import numpy as np

from percepnet.arrays import Array, Samples
from percepnet.errors import ModelError
from percepnet.params import ECHO_FEATURES, HOP_SAMPLES, SignalParams
from percepnet.reference import stft
from percepnet.reference.bands import Bands, bands_of, coherence
from percepnet.reference.echo_shape import Rest
from percepnet.reference.features import band_levels, silent_energy
from percepnet.reference.network import Network, NetworkModel

RESIDUAL_FEATURES = ("band_levels", *ECHO_FEATURES)

# While nobody speaks but the loudspeaker, what is left of it is the more annoying for being all there is to hear.
ALONE_GAIN = np.float32(0.42)  # rms over bands: where gains stay below for a while, there is hardly anything but echo
ALONE_EXPONENT = 8  # by which such frames are turned down further
ALONE_DECAY = np.float32(0.98)  # in a frame: the pauses of a talker are no such while


def is_residual(params: SignalParams) -> bool:
    """Whether a network with these features is one that suppresses what is left of an echo."""
    return "echo_levels" in params.feature_blocks and set(params.feature_blocks) <= set(RESIDUAL_FEATURES)


class ResidualSuppressor:
    """Says how much of each band is no echo, for one or more channels at once.

    Parameters
    ----------
    model : NetworkModel
        Its features are some of `band_levels`, of what is left, `echo_levels`, of the echo that was taken away,
        `far_levels`, and `echo_coherences` of the first two.
    channels : int

    Raises
    ------
    ModelError
        For a network of other features.
    """

    def __init__(self, model: NetworkModel, channels: int = 1) -> None:
        if not is_residual(model.params):
            raise ModelError(f"residual: expected features of {', '.join(RESIDUAL_FEATURES)}, found another network")
        self.params = model.params
        self.channels = channels
        self._bands = bands_of(model.params.band_edges)
        self._network = Network(model)
        self._gains = model.architecture.heads["gains"]
        self.reset()

    def reset(self) -> None:
        """Forget what was heard."""
        self._state = self._network.initial_state()
        self._past = np.zeros((2 * self.channels + 1, HOP_SAMPLES), np.float32)
        self._spoken = np.float32(1)

    def push(self, left: Samples, echo: Samples, far: Samples) -> Rest:
        """The next hop.

        Parameters
        ----------
        left, echo : np.ndarray [shape=(channels, 480)]
            What the canceller left, and what it took away.
        far : np.ndarray [shape=(480,)]

        Returns
        -------
        Rest
            Gains are of the frame `lookahead_frames` before the newest, 0 to 1.
        """
        spectra = self._spectra(left, echo, far)
        features = residual_features(self._bands, self.params, spectra)
        decided = self._network.outputs(features, self._state)[self._gains]
        return Rest(decided * self._alone(decided), echo)

    def _alone(self, gains: Array) -> np.float32:
        """By how much a frame is turned down, 0 to 1, as nobody has spoken for a while."""
        rms = np.float32(np.sqrt(np.mean(np.square(gains, dtype=np.float64))))
        self._spoken = max(rms, ALONE_DECAY * self._spoken)
        return min(np.float32(1), self._spoken / ALONE_GAIN) ** ALONE_EXPONENT

    def _spectra(self, left: Samples, echo: Samples, far: Samples) -> np.ndarray:
        """Of the newest frames, in the order of `past`."""
        hops = np.concatenate([left, echo, far[None]]).astype(np.float32)
        frames = np.concatenate([self._past, hops], axis=1)
        self._past = hops
        return stft.analysis(frames)


def residual_features(bands: Bands, params: SignalParams, spectra: np.ndarray) -> Array:
    """The network's input of one frame, or of many.

    Parameters
    ----------
    bands : Bands
    params : SignalParams
    spectra : np.ndarray [shape=(..., 2 * channels + 1, 481), complex]
        Of what is left in each channel, of the echo that was taken away from each, and of the far end.

    Returns
    -------
    np.ndarray [shape=(..., features), dtype=float32]
    """
    channels = spectra.shape[-2] // 2
    left, echo, far = np.split(spectra, (channels, 2 * channels), axis=-2)
    energies = [bands.energy(part).sum(axis=-2) for part in (left, echo, far)]
    correlation = bands.correlation(left, echo).sum(axis=-2)
    floor = silent_energy(bands)
    found = {
        "band_levels": band_levels(energies[0] / np.float32(channels), bands),
        "echo_levels": band_levels(energies[1] / np.float32(channels), bands),
        "far_levels": band_levels(energies[2], bands),
        "echo_coherences": coherence(correlation, energies[0], energies[1], floor),
    }
    return np.concatenate([found[block] for block in params.feature_blocks], axis=-1).astype(np.float32)
