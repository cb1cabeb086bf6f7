"""How late the echo is: cross-correlation of far end and microphone by phases alone, at 8 kHz, up to half a second.

Generalised cross-correlation with the phase transform (Knapp and Carter 1976), in blocks: the spectrum of the newest
40 ms of the microphone times the conjugate one of the far end so many blocks before, each bin of magnitude one, so that
neither the colour of speech nor its loudness decides. The microphone's block is faded in and out: where both blocks
were cut at the same time, the two cuts would correlate, at every multiple of 40 ms. Sums that forget in two seconds
become correlations, and the highest one among all lags, if it stands out and stays, is the delay of the echo's first
strong sound. Every hop turns a quarter of the blocks back into lags, so that hops cost alike.
"""

import numpy as np

from percepnet.params import HOP_SAMPLES, SAMPLE_RATE_HZ
from percepnet.reference.echo_past import LARGEST, to_int16

DECIMATION = 6
RATE_HZ = SAMPLE_RATE_HZ // DECIMATION
HOP = HOP_SAMPLES // DECIMATION
LOW_PASS_TAPS = 64
CYCLE_HOPS = 4
BLOCK = CYCLE_HOPS * HOP
FFT = 2 * BLOCK
BINS = BLOCK + 1
LAG_BLOCKS = 13  # 520 ms
BAND_HZ = (200, 3200)  # in which speech and small loudspeakers have something to say
FORGETTING = 0.98  # each 40 ms
ACTIVE_ENERGY = BLOCK * 1e-8  # of a block of the far end: -80 dB is no sound

PEAK_MIN = 35.0  # square of the highest correlation over their mean square; of noise it is 17
SAME_SAMPLES = 16  # 2 ms at 8 kHz: two peaks so near are the same
SEEN_MIN = 3  # cycles in a row


def _low_pass() -> np.ndarray:
    n = np.arange(LOW_PASS_TAPS) - (LOW_PASS_TAPS - 1) / 2
    taps = np.sinc(n * 0.85 / DECIMATION) * np.hanning(LOW_PASS_TAPS + 2)[1:-1]
    return (taps / taps.sum()).astype(np.float32)


LOW_PASS = _low_pass()
FADE = np.sin(np.pi / BLOCK * (np.arange(BLOCK) + 0.5)).astype(np.float32)  # of the microphone's block, at both ends
FIRST_BIN, LAST_BIN = (round(hz * FFT / RATE_HZ) for hz in BAND_HZ)
_STARTS = DECIMATION * np.arange(HOP)[:, None] + np.arange(LOW_PASS_TAPS)


def _phases(x: np.ndarray) -> np.ndarray:
    """Spectrum of magnitude one in the band, and zero beside it."""
    spectrum = np.fft.rfft(x)[FIRST_BIN : LAST_BIN + 1]
    size = np.sqrt(spectrum.real**2 + spectrum.imag**2)
    return np.asarray(spectrum / (size + np.float32(1e-12)), np.complex64)


class DelayFinder:
    """The delay of the echo, from what far end and microphone have in common."""

    def __init__(self) -> None:
        band = LAST_BIN - FIRST_BIN + 1
        self._past = np.zeros((2, LOW_PASS_TAPS - DECIMATION), np.float32)  # far end and microphone at 48 kHz
        self._low = np.zeros((2, FFT), np.float32)  # the newest 80 ms of both at 8 kHz
        self._far = np.zeros((LAG_BLOCKS, 2, band), np.int16)  # newest first; real and imaginary parts
        self._near = np.zeros(band, np.complex64)
        self._sums = np.zeros((LAG_BLOCKS, band), np.complex64)
        self._hop = 0
        self._active = False
        self._energy = 0.0
        self._peak, self._lag = 0.0, 0
        self._last, self._seen = 0, 0

    def push(self, near: np.ndarray, far: np.ndarray) -> int | None:
        """Take the next hop in.

        Parameters
        ----------
        near, far : np.ndarray [shape=(480,), dtype=float32]

        Returns
        -------
        int or None
            Samples at 48 kHz by which the echo is late, each time that the same delay was seen often enough.
        """
        self._hear(near, far)
        phase, found = self._hop % CYCLE_HOPS, None
        self._hop += 1
        if self._active:
            for block in range(phase, LAG_BLOCKS, CYCLE_HOPS):
                self._correlate(block)
            if phase == CYCLE_HOPS - 1:
                found = self._decide()
        if phase == CYCLE_HOPS - 1:
            self._turn()
        return found

    def _hear(self, near: np.ndarray, far: np.ndarray) -> None:
        heard = np.concatenate([self._past, np.stack([far, near])], axis=1)
        self._past = heard[:, HOP_SAMPLES:]
        self._low = np.concatenate([self._low[:, HOP:], heard[:, _STARTS] @ LOW_PASS], axis=1)

    def _correlate(self, block: int) -> None:
        far_conjugate = (self._far[block, 0] - 1j * self._far[block, 1]).astype(np.complex64)
        self._sums[block] = np.float32(FORGETTING) * self._sums[block] + far_conjugate * self._near
        spectrum = np.zeros(BINS, np.complex64)
        spectrum[FIRST_BIN : LAST_BIN + 1] = self._sums[block]
        lags = np.fft.irfft(spectrum, n=FFT)[:BLOCK] ** 2
        at = int(lags.argmax())
        self._energy += float(lags.sum(dtype=np.float64))
        if lags[at] > self._peak:
            self._peak, self._lag = float(lags[at]), block * BLOCK + at

    def _decide(self) -> int | None:
        stands_out = self._peak * LAG_BLOCKS * BLOCK > PEAK_MIN * self._energy
        same = abs(self._lag - self._last) <= SAME_SAMPLES
        self._seen = self._seen * same + 1 if stands_out else 0
        self._last = self._lag
        return self._lag * DECIMATION if self._seen >= SEEN_MIN else None

    def _turn(self) -> None:
        """The cycle that ends here becomes the block that the next one correlates."""
        newest = self._low[0, BLOCK:].astype(np.float64)
        phases = np.float32(LARGEST) * _phases(self._low[0])
        self._far = np.concatenate([to_int16(np.stack([phases.real, phases.imag]))[None], self._far[:-1]])
        self._near = _phases(np.concatenate([np.zeros(BLOCK, np.float32), FADE * self._low[1, BLOCK:]]))
        self._active = bool(newest @ newest > ACTIVE_ENERGY)
        self._energy = self._peak = 0.0
