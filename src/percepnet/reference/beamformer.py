"""Several microphones to one: a multichannel Wiener filter from the network's gains, whatever the geometry.

The gains say of every band of every frame how much of it is speech. They weigh what each pair of microphones has in
common into two covariances a bin, of speech Phi_s and of noise Phi_n, and the filter that keeps the speech as it is at
the reference microphone u and lets the least noise through is, of its family,

    w = (Phi_s + mu Phi_n)^-1 Phi_s u,   then scaled so that  w^H Phi_s w = Re(u^H Phi_s w)

the speech-distortion weighted multichannel Wiener filter (Doclo and Moonen 2002). If the speech comes from one
direction, Phi_s = sigma d d^H, this is the MVDR beamformer conj(d_u) Phi_n^-1 d / (d^H Phi_n^-1 d) for any mu, the same
as Souden's (2010), Phi_n^-1 Phi_s u / tr(Phi_n^-1 Phi_s). In a room it comes from everywhere, and there Souden's form
takes up to all of what it should keep: it divides by the number of microphones where Phi_s resembles Phi_n. This one
becomes the reference microphone there, which is why it cannot do much harm.

Gains are of a frame M ago. Its spectra, which have been kept, go into the covariances, and the filter that follows is
used for the newest frame: talkers and noises stay where they are for longer than that, and nothing is delayed for it.

How much of the filter's output is used, and how much of the reference microphone, is found in each band from frames
that the filter has not learnt from yet: where it does not help, as it should, the microphone is heard instead.
"""

from collections import deque
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from percepnet.arrays import Array, Samples
from percepnet.params import BINS, HOP_SAMPLES, SignalParams
from percepnet.reference import stft
from percepnet.reference.array_check import ArrayCheck
from percepnet.reference.bands import TINY, bands_of

Spectrum = npt.NDArray[np.complex64]
Design = Callable[[Spectrum, Spectrum, Array], Spectrum]

FORGETTING = 0.998  # a frame: 5 s, as rooms change slowly
SPEECH_EXPONENT = 4.0  # of gains, which are amplitudes: speech is learnt where there is little else
NOISE_EXPONENT = 2.0
TRADE_OFF = 6.0  # mu: how much noise is worth in speech distortion
LOADING = 1e-5  # of each microphone's noise: below the noise of the microphones themselves
SPEECH_LOADING = np.float32(1e-6)  # of the microphones' mean: copies of one, without noise, are one equation many times
FLOOR = np.float32(1e-9)  # power of a bin, below that of 16 bits' last one
TRUSTED_FRAMES = 1.0  # of speech and of noise, at which filter and reference microphone have equal shares
LISTENERS_MAX = 4  # microphones that the network hears, each by itself
EVERY = 4  # frames between two filters of a bin; a quarter of the bins is due in every frame
DISTORTION = 0.3  # how much what the filter does to speech weighs against the noise that it takes away
SHARE_STEP = 0.1  # of the way to a new share, in a frame
CHOICE_FRAMES = 25  # between two looks at which microphone is the best
CHOICE_DB = 1.0  # by which another has to be better
FADE_FRAMES = 20  # from one reference microphone to the next
WEIGHT_MAX = 30.0  # of a microphone as loud as the reference: more comes from covariances that mean nothing
LOUDNESS = (0.03, 30.0)  # within which another reference microphone is made as loud as the last


def multichannel_wiener(speech: Spectrum, noise: Spectrum, reference: Array, trade_off: float = TRADE_OFF) -> Spectrum:
    """The filter of each bin, scaled to keep the speech.

    Parameters
    ----------
    speech, noise : np.ndarray [shape=(bins, channels, channels), complex]
        Covariances, E[x x^H].
    reference : np.ndarray [shape=(channels,)]
        Weights of the microphones in what the speech should be like.
    trade_off : float
        mu, above 0.

    Returns
    -------
    np.ndarray [shape=(bins, channels), complex]
        w of ``y = w^H x``.
    """
    wanted = speech @ reference
    w: Spectrum = np.linalg.solve(speech + np.float32(trade_off) * noise, wanted[..., None])[..., 0]
    through = np.sum(w.conj() * (speech @ w[..., None])[..., 0], axis=-1).real
    alike = np.sum(w.conj() * wanted, axis=-1).real
    return w * (alike / (through + TINY * TINY))[..., None]


def souden_mvdr(speech: Spectrum, noise: Spectrum, reference: Array) -> Spectrum:
    """Souden's MVDR (2010), to compare with: arguments and result as of `multichannel_wiener`."""
    ratio: Spectrum = np.linalg.solve(noise, speech)
    trace = np.trace(ratio, axis1=-2, axis2=-1).real
    return (ratio @ reference) / (trace + TINY)[..., None]


class _Decided(NamedTuple):
    """A frame whose gains are known."""

    spectra: Spectrum  # (bins, channels)
    speech: Array  # (bins,) weights
    noise: Array


class Beamformer:
    """One channel from several microphones, hop by hop.

    Parameters
    ----------
    channels : int
        2 or more.
    params : SignalParams
        Of the network that the gains come from.
    design : callable
        Makes the filters: `multichannel_wiener` or, to compare with, `souden_mvdr`.

    Attributes
    ----------
    listeners : np.ndarray [shape=(listeners,)]
        Microphones that `process` is given gains of: enough of them that some may be broken.
    reference : int
        The microphone that the output is most like.
    share : np.ndarray [shape=(bands,)]
        Of the filter in the output, 0 to 1; the rest is the reference microphone.
    """

    latency_samples = HOP_SAMPLES  # a frame has to be complete

    def __init__(self, channels: int, params: SignalParams, design: Design = multichannel_wiener) -> None:
        self._design = design
        self.channels = channels
        self.listeners = np.unique(np.linspace(0, channels - 1, min(channels, LISTENERS_MAX)).round().astype(int))
        self._bands = bands_of(params.band_edges)
        self._lookahead = params.lookahead_frames
        self._forgetting = np.float32(FORGETTING) ** np.arange(EVERY - 1, -1, -1, dtype=np.float32)
        self._check = ArrayCheck(channels)
        self.reset()

    def reset(self) -> None:
        """Begin a new stream."""
        channels = self.channels
        self._check.reset()
        self._frame = 0
        self._past = np.zeros((channels, HOP_SAMPLES), np.float32)
        self._overlap = np.zeros(HOP_SAMPLES, np.float32)
        self._waiting: deque[tuple[Spectrum, Spectrum, Spectrum]] = deque()  # of frames: spectra, output, reference
        nothing = _Decided(
            np.zeros((BINS, channels), np.complex64), np.zeros(BINS, np.float32), np.zeros(BINS, np.float32)
        )
        self._decided = deque([nothing] * EVERY, maxlen=EVERY)
        self._speech, self._noise = (np.zeros((BINS, channels, channels), np.complex64) for _ in range(2))
        self._speech_frames, self._noise_frames = (np.zeros(BINS, np.float32) for _ in range(2))
        self._sums = np.zeros((5, self._bands.weights.shape[0]), np.float32)
        self._of_bins = np.ones(BINS, np.float32)
        self.share = np.ones(self._bands.weights.shape[0], np.float32)
        self.reference = 0
        self._from = self._to = np.eye(channels, dtype=np.float32)[0]
        self._fade = FADE_FRAMES
        self._filter = np.tile(self._to.astype(np.complex64), (BINS, 1))

    @property
    def left_out(self) -> dict[int, str]:
        """Microphones that are not used at this moment, from 0, and why."""
        return self._check.left_out

    def process(self, hop: Samples, gains: Array) -> Samples:
        """Take the next 10 ms in, and give 10 ms back.

        Parameters
        ----------
        hop : np.ndarray [shape=(channels, 480)]
        gains : np.ndarray [shape=(listeners, bands)]
            What the network decided of each of `listeners` once it had this hop, which is of the frame M ago.

        Returns
        -------
        np.ndarray [shape=(1, 480)]
            Delayed by `latency_samples`.
        """
        spectra = stft.analysis(np.concatenate((self._past, hop), axis=1)).astype(np.complex64)
        self._past = hop
        if self._check.push(spectra):
            self._leave_out()
        spectra *= self._check.used[:, None]
        x = np.ascontiguousarray(spectra.T)
        if self._frame >= self._lookahead:
            heard = gains[self._check.used[self.listeners] > 0]
            # the median: a microphone at which the network errs, as at a quiet one in its first second, says nothing
            self._learn(np.median(heard, axis=0) if len(heard) else gains[0] * 0)
        wanted = self._wanted()
        raw = np.sum(self._filter.conj() * x, axis=1)
        of_reference = x @ wanted.astype(np.complex64)
        self._waiting.append((x, raw, of_reference))
        self._frame += 1
        frame = stft.synthesis(of_reference + self._of_bins * (raw - of_reference)).astype(np.float32)
        out: Samples = self._overlap + frame[:HOP_SAMPLES]
        self._overlap = frame[HOP_SAMPLES:]
        return out[None]

    def _learn(self, gains: Array) -> None:
        """Take the frame in that the gains are of, and make the filters that are due."""
        x, raw, of_reference = self._waiting.popleft()
        of_bins = self._bands.to_bins(gains)
        speech = (of_bins**SPEECH_EXPONENT).astype(np.float32)
        noise = ((1 - of_bins) ** NOISE_EXPONENT).astype(np.float32)
        self._decided.append(_Decided(x, speech, noise))
        number = self._frame - self._lookahead
        self._watch(raw, of_reference, speech, noise)
        if number % CHOICE_FRAMES == CHOICE_FRAMES - 1 and self._check.has_looked:
            self._choose()
        self._fade = min(self._fade + 1, FADE_FRAMES)
        self._update(slice(number % EVERY, None, EVERY))

    def _update(self, due: slice) -> None:
        """Covariances and filters of some bins."""
        frames = np.stack([decided.spectra[due] for decided in self._decided], axis=-1)
        conjugated = frames.conj().swapaxes(1, 2)
        decay = self._forgetting[0] * np.float32(FORGETTING)
        for covariance, count, name in (
            (self._speech, self._speech_frames, "speech"),
            (self._noise, self._noise_frames, "noise"),
        ):
            weights = np.stack([getattr(decided, name)[due] for decided in self._decided], axis=-1) * self._forgetting
            covariance[due] = decay * covariance[due] + (frames * weights[:, None]) @ conjugated
            count[due] = decay * count[due] + weights.sum(axis=1)
        eye = np.eye(self.channels, dtype=np.float32)
        noise = self._noise[due]
        powers = np.diagonal(noise, axis1=1, axis2=2).real
        noise = noise + (np.float32(LOADING) * powers + FLOOR)[:, :, None] * eye
        wanted = self._wanted()
        speech = self._speech[due]
        loading = SPEECH_LOADING * np.trace(speech, axis1=1, axis2=2).real / np.float32(self.channels) + FLOOR
        found = self._design(speech + loading[:, None, None] * eye, noise, wanted)
        heard = np.minimum(self._speech_frames[due], self._noise_frames[due])
        trust = (heard / (heard + np.float32(TRUSTED_FRAMES)))[:, None]
        if self._check.has_looked:  # after 750 ms: no broken microphone gets into a filter before
            loudest = np.sqrt((np.square(np.abs(found)) * powers).max(axis=1))
            in_bounds = loudest <= WEIGHT_MAX * np.sqrt(powers @ np.square(wanted) + FLOOR)
            found = np.where(in_bounds[:, None], found, wanted)
            self._filter[due] = wanted + trust * (found - wanted)

    def _watch(self, raw: Spectrum, of_reference: Spectrum, speech: Array, noise: Array) -> None:
        """Find how much of the filter's output helps, from a frame that the filter has not learnt from.

        With a share a, the output is the reference plus a times the change. Least, in each band, is the noise that is
        left plus `DISTORTION` times what the change does to speech, for a = -Re <r, c>_n / (<c, c>_n + D <c, c>_s).
        """
        change = raw - of_reference
        changed = np.square(change.real) + np.square(change.imag)
        common = of_reference.real * change.real + of_reference.imag * change.imag
        added = np.stack((noise * common, noise * changed, noise, speech * changed, speech)) @ self._bands.weights.T
        self._sums += np.float32(1 - FORGETTING) * (added - self._sums)
        gained, in_noise, noise_frames, in_speech, speech_frames = self._sums + TINY
        harm = np.float32(DISTORTION) * in_speech / speech_frames
        self.share = np.clip(-(gained / noise_frames) / (in_noise / noise_frames + harm), 0, 1)
        self._of_bins += np.float32(SHARE_STEP) * (self._bands.to_bins(self.share) - self._of_bins)

    def _wanted(self) -> Array:
        """Weights of the microphones in the reference: one of them, or on the way to another."""
        part = np.float32(self._fade / FADE_FRAMES)
        return (1 - part) * self._from + part * self._to

    def _choose(self) -> None:
        """Take another reference microphone where one is clearly better."""
        covariances = ((self._speech, self._speech_frames), (self._noise, self._noise_frames))
        heard, noise = (
            (np.diagonal(those, axis1=1, axis2=2).real / (count + TINY)[:, None]).T @ self._bands.weights.T + FLOOR
            for those, count in covariances
        )
        speech = np.maximum(heard - noise, 0)
        ratios_db = 10 * np.log10(1 + speech / noise).mean(axis=1)  # bands without speech say nothing
        ratios_db[self._check.used == 0] = -np.inf
        best = int(np.argmax(ratios_db))
        if not np.isfinite(ratios_db[best]) or ratios_db[best] < ratios_db[self.reference] + CHOICE_DB:
            return
        loudness = np.sqrt(speech.sum(axis=1) + FLOOR)
        ratio = self._to[self.reference] * loudness[self.reference] / loudness[best]
        self._go_to(best, float(ratio) if LOUDNESS[0] <= ratio <= LOUDNESS[1] else 1.0)

    def _go_to(self, microphone: int, weight: float) -> None:
        self._from, self._fade = self._wanted(), 0
        self.reference = microphone
        self._to = np.eye(self.channels, dtype=np.float32)[microphone] * np.float32(weight)

    def _leave_out(self) -> None:
        """Forget microphones that are left out."""
        used = self._check.used
        self._speech *= used[:, None] * used
        self._noise *= used[:, None] * used
        self._filter *= used
        to_learn_from = [decided.spectra for decided in self._decided] + [waiting[0] for waiting in self._waiting]
        for spectra in to_learn_from:
            np.multiply(spectra, used, out=spectra)
        if not used[self.reference]:
            self._go_to(int(np.argmax(used)), 1.0)
            self._from, self._fade = self._to, FADE_FRAMES
            self._filter += self._to  # until the next filter, as it was at the beginning
