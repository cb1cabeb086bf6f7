"""The echo of a far end at one microphone: an adaptive filter in blocks of the spectrum, and when to believe it.

Multidelay block frequency domain filter (Soo and Pang 1990): 16 blocks of 10 ms, overlap-save, of which the largest and
one other are constrained to 10 ms in each hop (the alternating update of AUMDF). Two paths (Ochiai and others 1977):
the background adapts, the foreground is heard; what is better for a while becomes the foreground, and what is worse
begins again from it. Treble has fewer blocks than bass: air and furniture take it out of a room first.

The step of each block and bin is that of a Kalman filter with a diagonal covariance (Enzner and Vary 2006; Kuech and
others 2014), which learns at once where it knows nothing yet, and hardly moves while somebody speaks nearby. Its
covariance is never below what the error still shares with the echo, the leak of Valin (2007): without that it would be
too sure of itself when the path changes.
"""

import numpy as np

from percepnet.params import BINS, HOP_SAMPLES, WINDOW_SAMPLES

BLOCKS = 16  # 160 ms
RANGES = (
    (0, 160, BLOCKS),
    (160, 200, 10),
    (200, 320, 6),
    (320, BINS, 3),
)  # bins from and to (8, 10 and 16 kHz), blocks
IN_FILTER = np.zeros((BLOCKS, BINS), bool)
for _from, _to, _blocks in RANGES:
    IN_FILTER[:_blocks, _from:_to] = True

FORGETTING = 0.999  # of the path's power, a hop: how much of it may have changed
VARIANCE_DECAY = 0.78  # from block to block: a room
VARIANCES = (VARIANCE_DECAY ** np.arange(BLOCKS) * (1 - VARIANCE_DECAY)).astype(np.float32)  # of a path of power 1
STARTING_HOPS = 10  # in which the path's power is found out
GAIN_SMOOTHING = 0.98
GAIN_MAX = 1e6  # of a path: 60 dB
LOUDER, AUDIBLE = 10.0, 0.01  # far end over the loudest hop so far: it begins only now; it is heard at all
FOUND = 0.25  # error over microphone: an echo was found
HALF = 0.5  # of a frame is new
ERROR_SMOOTHING = 0.8
FLOOR = 1e-7

POWER_SMOOTHING = 0.1  # Valin 2007: of powers, whose changes are correlated
LEAK_RATE = 0.06
LEAK_SHARE = 1.25  # of it: a path that has become another errs by both, the old and the new

SMOOTHING = (0.6, 0.9)  # of energies, fast and slow
BETTER = (0.9, 0.97)  # background over foreground: it is taken over
BETTER_THAN_NONE = 0.95  # background over nothing, of slow energies: chance alone makes it a little better
WORSE = 1.5  # it begins again from the foreground
WORSE_THAN_NONE = 2.0  # foreground over nothing: it is dropped; while somebody speaks, less is chance
LOUD = 1.2  # foreground over nothing: it is not taken away for now
WILD = 1e16  # energy of an error that no microphone can have
TINY = 1e-20

_FADE = (np.arange(1, HOP_SAMPLES + 1) / HOP_SAMPLES).astype(np.float32)


def energy(x: np.ndarray) -> float:
    """Sum of squares."""
    return float(np.dot(x.astype(np.float64), x.astype(np.float64)))


def _powers(spectrum: np.ndarray) -> np.ndarray:
    return np.asarray(spectrum.real**2 + spectrum.imag**2, np.float32)


def _error_spectrum(hop: np.ndarray) -> np.ndarray:
    return np.fft.rfft(np.concatenate([np.zeros(HOP_SAMPLES, np.float32), hop]))


class EchoFilter:
    """What one microphone hears of the far end, hop by hop."""

    def __init__(self) -> None:
        self.foreground = np.zeros((BLOCKS, BINS), np.complex64)
        self.background = np.zeros((BLOCKS, BINS), np.complex64)
        self._wet = 1.0  # whether the echo is taken away
        self._begin()

    def _begin(self) -> None:
        """Know nothing of the path."""
        self.foreground[:] = 0
        self.background[:] = 0
        self._variance = np.zeros((BLOCKS, BINS), np.float32)
        self._hops = 0  # with a far end, until STARTING_HOPS
        self._has_found = False  # whether the background has been much better than nothing
        self._near_sum = self._far_sum = self._gain = self._loudest = 0.0
        self._error_power = np.zeros(BINS, np.float32)
        self._mean_error = np.zeros(BINS, np.float32)
        self._mean_echo = np.zeros(BINS, np.float32)
        self._shared, self._own = 0.0, TINY
        # energies of the errors of foreground and background and of the microphone, fast and slow
        self._energies = np.zeros((2, 3))

    def shift(self, blocks: int) -> None:
        """The far end will come so many blocks later: what is known of the path moves.

        Parameters
        ----------
        blocks : int
            Negative for earlier. By 16 or more nothing is left of it.
        """
        if abs(blocks) >= BLOCKS:
            self._begin()
            return
        for start, end, count in RANGES:
            moved = min(max(blocks, -count), count)
            for of_blocks in (self.foreground, self.background, self._variance):
                before = of_blocks[:count, start:end]
                nothing = np.zeros((abs(moved), end - start), before.dtype)
                parts = [before[moved:], nothing] if moved > 0 else [nothing, before[: count + moved]]
                of_blocks[:count, start:end] = np.concatenate(parts)
            self._expect_anything(slice(count - moved, count) if moved > 0 else slice(0, -moved), slice(start, end))

    def step(self, near: np.ndarray, far: np.ndarray, far_energy: float, turn: int) -> np.ndarray:
        """The echo in the next hop.

        Parameters
        ----------
        near : np.ndarray [shape=(480,), dtype=float32]
            Of the microphone.
        far : np.ndarray [shape=(16, 481), dtype=complex64]
            Spectra of the far end, the newest first.
        far_energy : float
            Of the samples that are new in the newest.
        turn : int
            Block that is constrained in this hop, besides the largest one.

        Returns
        -------
        np.ndarray [shape=(480,), dtype=float32]
        """
        heard = self._echo(self.foreground, far)
        tried = self._echo(self.background, far)
        echo, error, tried = self._choose(near, heard, tried)
        largest = self._learn(error, tried, near, far, far_energy)
        self._constrain({turn, largest})
        return echo

    def _echo(self, path: np.ndarray, far: np.ndarray) -> np.ndarray:
        spectrum = (path * far).sum(axis=0)
        return np.asarray(np.fft.irfft(spectrum, n=WINDOW_SAMPLES)[HOP_SAMPLES:], np.float32)

    def _choose(
        self, near: np.ndarray, heard: np.ndarray, tried: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """What is taken away; and error and echo that the background learns from."""
        now = np.array([energy(near - heard), energy(near - tried), energy(near)])
        smoothing = np.array(SMOOTHING)[:, None]
        self._energies = smoothing * self._energies + (1 - smoothing) * now
        (fast_heard, fast_tried, fast_near), (slow_heard, slow_tried, slow_near) = self._energies
        echo = heard
        better = fast_tried < BETTER[0] * fast_heard or slow_tried < BETTER[1] * slow_heard
        if better and fast_tried < min(fast_heard, fast_near) and slow_tried < BETTER_THAN_NONE * slow_near:
            self.foreground[:] = self.background
            echo = heard + _FADE * (tried - heard)
            self._energies[:, 0] = self._energies[:, 1]
        elif slow_tried > WORSE * slow_heard:
            self.background[:] = self.foreground
            tried = heard
            self._energies[:, 1] = self._energies[:, 0]
        if self._energies[1, 0] > WORSE_THAN_NONE * slow_near or not now.max() < WILD:
            self._begin()
            tried = np.zeros_like(heard)
            echo = echo if now.max() < WILD else tried
            self._energies[:] = [[fast_near] * 3, [slow_near] * 3]
        wet = float(self._energies[0, 0] <= LOUD * self._energies[0, 2])
        if self._wet != 1.0 or wet != 1.0:
            echo = (np.float32(self._wet) + _FADE * np.float32(wet - self._wet)) * echo
            self._wet = wet
        return echo, near - tried, tried

    def _learn(self, error: np.ndarray, echo: np.ndarray, near: np.ndarray, far: np.ndarray, far_energy: float) -> int:
        """Returns the largest block of the background."""
        error_spectrum = np.asarray(_error_spectrum(error), np.complex64)
        error_power, echo_power = _powers(error_spectrum), _powers(_error_spectrum(echo))
        leak = self._leak(error_power, echo_power, energy(error), energy(echo))
        self._error_power += np.float32(1 - ERROR_SMOOTHING) * (error_power - self._error_power)
        self._start(energy(near), far_energy)
        powers = _powers(self.background)
        variance = np.maximum(self._variance, np.float32(leak) * VARIANCES[:, None] * powers.sum(axis=0))
        far_power = _powers(far)
        expected = np.float32(HALF) * (variance * far_power).sum(axis=0) + self._error_power + np.float32(FLOOR)
        step = variance / expected
        kept = np.float32(FORGETTING**2)
        self._variance = kept * (1 - np.float32(HALF) * step * far_power) * variance + (1 - kept) * powers
        self.background += step * np.conj(far) * error_spectrum
        return int(powers.sum(axis=1, dtype=np.float64).argmax())

    def _leak(self, error_power: np.ndarray, echo_power: np.ndarray, error: float, echo: float) -> float:
        """What share of the echo is still in the error: how their powers go up and down together."""
        self._mean_error += np.float32(POWER_SMOOTHING) * (error_power - self._mean_error)
        self._mean_echo += np.float32(POWER_SMOOTHING) * (echo_power - self._mean_echo)
        of_error = (error_power - self._mean_error).astype(np.float64)
        of_echo = (echo_power - self._mean_echo).astype(np.float64)
        rate = LEAK_RATE * min(echo / (error + TINY), 1.0)
        self._shared += rate * (float(of_error @ of_echo) - self._shared)
        self._own += rate * (float(of_echo @ of_echo) - self._own)
        return LEAK_SHARE * min(max(self._shared / (self._own + TINY), 0.0), 1.0)

    def _start(self, near_energy: float, far_energy: float) -> None:
        """Until an echo is found, the path may be as strong as the microphone is louder than the far end."""
        self._has_found |= bool(self._energies[1, 1] < FOUND * self._energies[1, 2])
        if self._has_found:
            return
        if far_energy > LOUDER * self._loudest:  # what was heard of it before was its noise
            self._hops, self._near_sum, self._far_sum = 0, 0.0, 0.0
        self._loudest = max(self._loudest, far_energy)
        if far_energy <= AUDIBLE * self._loudest:
            return
        self._near_sum = GAIN_SMOOTHING * self._near_sum + near_energy
        self._far_sum = GAIN_SMOOTHING * self._far_sum + far_energy
        gain = min(self._near_sum / (self._far_sum + TINY), GAIN_MAX)
        if self._hops < STARTING_HOPS:
            self._hops += 1
            self._gain = gain
            self._variance[:] = np.float32(gain) * VARIANCES[:, None]
        elif gain > 2 * self._gain:
            self._gain = gain
            self._expect_anything(slice(0, BLOCKS), slice(0, BINS))

    def _expect_anything(self, blocks: slice, bins: slice) -> None:
        """As of a path that is not known yet."""
        least = np.float32(self._gain) * VARIANCES[blocks, None]
        self._variance[blocks, bins] = np.maximum(self._variance[blocks, bins], least)

    def _constrain(self, blocks: set[int]) -> None:
        """Without this, what lies behind the 10 ms of a block would wrap around into it."""
        for block in blocks:
            response = np.fft.irfft(self.background[block], n=WINDOW_SAMPLES)
            response[HOP_SAMPLES:] = 0
            self.background[block] = IN_FILTER[block] * np.fft.rfft(response)
