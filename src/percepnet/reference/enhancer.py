"""The whole system on a stream: one hop in, one hop out, (M + 1) * 480 samples later."""

from collections.abc import Sequence

import numpy as np

from percepnet.params import HOP_SAMPLES
from percepnet.reference.analysis import Analysis
from percepnet.reference.bands import bands_of
from percepnet.reference.echo_shape import EchoShape, Rest, beside_the_rest
from percepnet.reference.highpass import undo_phase
from percepnet.reference.mix import enhance_spectrum
from percepnet.reference.network import Network, NetworkModel, bin_network
from percepnet.reference.noise_shape import NoiseShape
from percepnet.reference.windows import OverlapAdd


def dry_level(attenuation_limit_db: float | None) -> float:
    """Amplitude at which the unprocessed signal is mixed in, so that nothing is attenuated by more than the limit."""
    return 0.0 if attenuation_limit_db is None else 10.0 ** (-attenuation_limit_db / 20.0)


class FrameEnhancer:
    """Enhance one stream, 10 ms at a time.

    Parameters
    ----------
    model : NetworkModel
    channels : int
        They share every decision, so that a stereo image stays where it was.
    comb_filter : bool
        Without it all strengths are zero.
    post_filter : bool
    one_window : bool
        Each decision is used in one window instead of three, for output that is averaged with others anyway.
    attenuation_limit_db : float, optional
        At most this much attenuation: the unprocessed signal, aligned in time, is mixed in at this level. It can be
        changed between hops, without a click, as frames overlap.

    Attributes
    ----------
    gains : np.ndarray [shape=(bands,)]
        Of the last hop's decision.
    """

    speech_probability: float | None = None  # no network says it yet

    def __init__(
        self,
        model: NetworkModel,
        channels: int = 1,
        *,
        comb_filter: bool = True,
        post_filter: bool = False,
        one_window: bool = False,
        attenuation_limit_db: float | None = None,
    ) -> None:
        self.model = model
        self.channels = channels
        self.comb_filter = comb_filter
        self.post_filter = post_filter
        self.attenuation_limit_db = attenuation_limit_db
        self._bands = bands_of(model.params.band_edges)
        self._noise = NoiseShape(self._bands, bin_network(model))
        self._analysis = Analysis(model.params, channels, one_window=one_window)
        self._network = Network(model)
        self.reset()

    def reset(self) -> None:
        """Begin a new stream."""
        self._analysis.reset()
        self._shape: EchoShape | None = None  # as long as there is a far end
        self._noise.reset()
        self._state = self._network.initial_state()
        self._overlap = OverlapAdd(self.channels)
        self.gains = np.ones(self.model.params.bands, dtype=np.float32)

    def end(self) -> None:
        """What comes from now on, until `reset`, is nothing but what follows a recording."""
        self._analysis.end()

    def process(self, hops: np.ndarray, residual: Sequence[Rest | None] | None = None) -> np.ndarray:
        """Enhance the next 10 ms, or any number of them.

        Parameters
        ----------
        hops : np.ndarray [shape=(channels, 480 * n), dtype=float32]
        residual : sequence of n Rest or None, optional
            What is known of the rest of an echo in each hop, which is taken out first.

        Returns
        -------
        np.ndarray [shape=(channels, 480 * n), dtype=float32]
            The enhanced signal, delayed by `model.params.latency_samples`; the same to the bit whatever n is.
        """
        starts = range(0, hops.shape[1], HOP_SAMPLES)
        rests = residual or [None] * len(starts)
        steps = zip(starts, rests, strict=True)
        return np.concatenate([self._step(hops[:, start : start + HOP_SAMPLES], rest) for start, rest in steps], axis=1)

    def _step(self, hop: np.ndarray, rest: Rest | None) -> np.ndarray:
        frames = self._analysis.push(hop)
        decided = self._network.outputs(frames.features[0], self._state)
        heads = self.model.architecture.heads
        gains, strengths = decided[heads["gains"]], decided[heads["strengths"]]
        self.gains = gains
        self.speech_probability = float(decided[heads["speech"]][0]) if "speech" in heads else None
        if not self.comb_filter:
            strengths = np.zeros_like(strengths)
        undo = undo_phase(self.model.params.highpass_hz)
        noisy, comb, unturned, combs = frames.noisy, frames.comb, frames.unturned, frames.combs
        if rest is None:
            self._shape = None
        else:
            self._shape = self._shape or EchoShape(
                self._bands, self.model.params.lookahead_frames, self.channels, self._analysis.shifts
            )
            without = self._shape.push(rest, self._analysis.newest(self._shape.samples))
            noisy, comb, combs = without.noisy[None], without.gains * comb, without.gains * combs
            unturned = without.windows[None] * undo
            gains, strengths = beside_the_rest(without.of_bands, gains, strengths)
        further = self._noise.push(self._analysis.coming, comb[0], gains, strengths)
        changed = enhance_spectrum(
            noisy, comb, gains[None], strengths[None], self._bands, post_filter=self.post_filter,
            unturned=(unturned, combs * undo),
        )  # fmt: skip
        spectrum = further * changed[0]
        dry = np.float32(dry_level(self.attenuation_limit_db))
        if dry:
            spectrum = spectrum + dry * (frames.unturned[0] - spectrum)
        return self._overlap.push(spectrum)
