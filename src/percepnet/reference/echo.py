"""What a loudspeaker plays is taken out of what a microphone hears: linear echo cancellation, before everything else.

The far end is the signal that goes to the loudspeaker. `echo_delay` finds how late its echo is, `echo_filter` learns
the path from there on, on both signals as `echo_emphasis` makes them; the echo is subtracted, and nothing is delayed.
"""

import numpy as np

from percepnet.params import BINS, HOP_SAMPLES
from percepnet.reference.echo_delay import DelayFinder
from percepnet.reference.echo_emphasis import Deemphasis, Emphasis
from percepnet.reference.echo_filter import BLOCKS, IN_FILTER, EchoFilter, energy
from percepnet.reference.echo_past import DELAY_BLOCKS_MAX, Past

QUIET_HOPS = 200  # of no far end at all, after which there is no echo left

MARGIN_SAMPLES = 240  # of the filter before the echo's first strong sound
MARGIN_MIN_SAMPLES = 48  # less or more than that, and the filter moves
MARGIN_MAX_SAMPLES = 1440


class EchoCanceller:
    """The microphones of one room, and what a loudspeaker plays in it.

    Parameters
    ----------
    channels : int
        Microphones.
    """

    def __init__(self, channels: int = 1) -> None:
        self.channels = channels
        self.reset()

    def reset(self) -> None:
        """Forget the room."""
        self.delay_blocks = 0
        self._finder = DelayFinder()
        self._filters = [EchoFilter() for _ in range(self.channels)]
        self._far_emphasis = Emphasis(1)
        self._near_emphasis = Emphasis(self.channels)
        self._deemphasis = Deemphasis(self.channels)
        self._past = Past()
        self._far = np.zeros((BLOCKS, BINS), np.complex64)
        self._turn = 0
        self.newest_far = np.zeros(HOP_SAMPLES, np.float32)  # of which the echo was looked for
        self._quiet = QUIET_HOPS  # hops since there was a far end

    @property
    def is_quiet(self) -> bool:
        """Whether there has been no far end for so long that there is no echo."""
        return self._quiet >= QUIET_HOPS

    def process(self, near: np.ndarray, far: np.ndarray) -> np.ndarray:
        """Take the echo out of the next hops.

        Parameters
        ----------
        near : np.ndarray [shape=(channels, 480 * n), dtype=float32]
            Of the microphones.
        far : np.ndarray [shape=(480 * n,), dtype=float32]
            What is played meanwhile. A hop that is the microphone's own is none: somebody has taken one for the other.

        Returns
        -------
        np.ndarray [shape=(channels, 480 * n), dtype=float32]
            Not delayed; `near` itself, to the bit, as long as there was no far end.
        """
        starts = range(0, near.shape[1], HOP_SAMPLES)
        hops = [self._step(near[:, start : start + HOP_SAMPLES], far[start : start + HOP_SAMPLES]) for start in starts]
        return np.concatenate(hops, axis=1) if hops else near

    def _step(self, near: np.ndarray, far: np.ndarray) -> np.ndarray:
        if (near == far).all():
            far = np.zeros_like(far)
        self.newest_far = far
        was_quiet = self.is_quiet
        self._quiet = 0 if far.any() else min(self._quiet + 1, QUIET_HOPS)
        if self.is_quiet:
            return near
        if was_quiet:
            self._begin(near, far)
        found = self._finder.push(near.sum(axis=0), far)
        if found is not None:
            self._follow(found)
        self._past.push(self._far_emphasis.push(far[None])[0])
        frame = self._past.read(self.delay_blocks)
        self._far = IN_FILTER * np.concatenate([np.fft.rfft(frame)[None].astype(np.complex64), self._far[:-1]])
        emphasised = self._near_emphasis.push(near)
        far_energy = energy(frame[HOP_SAMPLES:])
        pairs = zip(self._filters, emphasised, strict=True)
        echo = np.stack([path.step(hop, self._far, far_energy, self._turn) for path, hop in pairs])
        self._turn = (self._turn + 1) % BLOCKS
        return near - self._deemphasis.push(echo)

    def _begin(self, near: np.ndarray, far: np.ndarray) -> None:
        """After silence: the path is remembered, and nothing else."""
        self._far_emphasis.begin(far[None])
        self._near_emphasis.begin(near)
        self._deemphasis.begin()
        self._past.forget()
        self._far[:] = 0

    def _follow(self, delay_samples: int) -> None:
        """Move the filter to where the echo is, unless it lies there already."""
        ahead = delay_samples - self.delay_blocks * HOP_SAMPLES
        if ahead <= MARGIN_MAX_SAMPLES and (ahead >= MARGIN_MIN_SAMPLES or not self.delay_blocks):
            return
        wanted = max(delay_samples - MARGIN_SAMPLES, 0) // HOP_SAMPLES
        wanted = min(wanted, DELAY_BLOCKS_MAX)
        if wanted == self.delay_blocks:
            return
        for path in self._filters:
            path.shift(wanted - self.delay_blocks)
        self.delay_blocks = wanted
        for block in range(BLOCKS):  # as before the newest hop; what lies too far back is silence until it has come
            back = self.delay_blocks + block
            known = back <= DELAY_BLOCKS_MAX
            self._far[block] = IN_FILTER[block] * np.fft.rfft(self._past.read(back)) if known else 0
