"""Arrays at the rim: dtypes, axes and channels are settled here, once, and are float32 `(channels, samples)` inside."""

from typing import Any

import numpy as np
import numpy.typing as npt

from percepnet.errors import AudioError

Array = npt.NDArray[np.float32]  # of numbers that are no sound: features, weights, responses, spectra
Samples = npt.NDArray[np.float32]
AnySamples = npt.NDArray[Any]

CHANNELS_MAX = 1024  # of libsndfile; a larger first axis is nearly always a transposed array
PEAK_MAX = 100.0  # 40 dB above full scale: no recording, but usual for int16 values stored as floats
INT16_SCALE = 32768.0


def as_array(x: object) -> AnySamples:
    """What a caller gave as an array, whatever it is.

    Raises
    ------
    AudioError
        If NumPy cannot make one of it, or one of objects or of text.
    """
    try:
        array = np.asarray(x)
    except Exception as error:  # tensors of a GPU, nested lists of several lengths
        raise AudioError(f"samples in a {type(x).__name__} cannot be read: give a NumPy array") from error
    if array.dtype.kind in "OSU":
        raise AudioError(f"samples in a {type(x).__name__}: give a NumPy array of int16, or of floats in [-1, 1]")
    return array


def to_samples(x: AnySamples) -> AnySamples:
    """Samples as `(channels, samples)` of float32 or int16, checked for everything that the signal path cannot take.

    Parameters
    ----------
    x : np.ndarray [shape=(samples,) or (channels, samples)]
        Floats of any width in [-1, 1], or int16.

    Returns
    -------
    np.ndarray [shape=(channels, samples), dtype=float32 or int16]

    Raises
    ------
    AudioError
        For another dtype, another number of axes, no channel or implausibly many. Values are `check_finite`'s.
    """
    if x.ndim not in (1, 2):
        raise AudioError(f"an array of shape {x.shape}: give (samples,) or (channels, samples)")
    if x.ndim == 2 and x.shape[0] == 0:
        raise AudioError(f"an array of shape {x.shape} has no channel: give (samples,) or (channels, samples)")
    if x.ndim == 2 and x.shape[0] > CHANNELS_MAX:
        raise AudioError(
            f"an array of shape {x.shape} means {x.shape[0]} channels, as the last axis is time: transpose it (x.T)"
        )
    if x.dtype == np.float32:
        samples = x
    elif x.dtype.newbyteorder("=") == np.int16:
        samples = x.astype(np.int16, copy=False)
    elif np.issubdtype(x.dtype, np.floating):
        with np.errstate(over="ignore"):  # beyond float32 becomes infinity, which check_finite names
            samples = x.astype(np.float32, copy=False)
    else:
        raise AudioError(f"samples of type {x.dtype}: give int16, or floats in [-1, 1]")
    return samples[None] if x.ndim == 1 else samples


def from_samples(y: AnySamples, like: AnySamples) -> AnySamples:
    """The inverse of `to_samples`: back to the dtype and the number of axes of `like`."""
    values = y.astype(like.dtype, copy=False)
    return values[0] if like.ndim == 1 else values


def to_float32(x: AnySamples) -> Samples:
    """As `to_samples`, and int16 becomes float32 in [-1, 1)."""
    samples = to_samples(x)
    return samples.astype(np.float32) / np.float32(INT16_SCALE) if samples.dtype == np.int16 else samples


def from_float32(y: Samples, like: AnySamples) -> AnySamples:
    """The inverse of `to_float32`: back to the dtype and the number of axes of `like`; int16 is rounded and clamped."""
    if like.dtype.kind == "i":
        values: AnySamples = np.clip(np.rint(y * INT16_SCALE), -INT16_SCALE, INT16_SCALE - 1).astype(like.dtype)
    else:
        values = y.astype(like.dtype, copy=False)
    return values[0] if like.ndim == 1 else values


def crossfade(before: Samples, after: Samples, count: int) -> Samples:
    """From one to the other in a straight line, within the first samples.

    Parameters
    ----------
    before, after : np.ndarray [shape=(channels, n)]
    count : int
        Samples that it takes, at most n.

    Returns
    -------
    np.ndarray [shape=(channels, n)]
    """
    share = np.arange(1, count + 1, dtype=np.float32) / np.float32(count)
    y = after.copy()
    y[:, :count] = before[:, :count] + share * (after - before)[:, :count]
    return y


def check_finite(x: Samples, *, start_samples: int, sample_rate_hz: int, advice: str) -> None:
    """Refuse NaN, infinity and values far outside [-1, 1], and say where they are.

    Parameters
    ----------
    x : np.ndarray [shape=(channels, samples)]
        A block of a stream.
    start_samples : int
        Position of the block in its stream.
    sample_rate_hz : int
        Rate of the stream.
    advice : str
        What the caller can do about NaN or infinity; ends the message.

    Raises
    ------
    AudioError
        Naming the position in seconds.
    """
    if x.size <= PEAK_MAX**2 and np.vdot(x, x) <= PEAK_MAX**2:  # so no sample is larger; of a live chunk 3 times faster
        return
    if x.size == 0 or (x.max() <= PEAK_MAX and x.min() >= -PEAK_MAX):  # NaN is neither
        return
    peaks = np.abs(x).max(axis=0)  # NaN stays NaN, infinity stays infinity
    bad = ~(peaks <= PEAK_MAX)
    first = int(bad.argmax())
    position = f"at {(start_samples + first) / sample_rate_hz:.6f} s"
    if np.isfinite(peaks[first]):
        raise AudioError(
            f"a sample of {peaks[first]:g} {position}, far outside [-1, 1]: "
            "divide float samples by their full scale (32768 for int16 values)"
        )
    raise AudioError(f"NaN or infinity {position}: {advice}")
