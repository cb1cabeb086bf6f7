"""Float samples as the integers of a file: rounded, never floored, and dithered where asked for."""

import numpy as np

from percepnet.arrays import AnySamples, Samples

_BITS = {"PCM_16": 16, "PCM_24": 24, "PCM_32": 32, "PCM_U8": 8, "PCM_S8": 8, "ULAW": 16, "ALAW": 16}


def quantised(y: Samples, subtype: str, dither: np.random.Generator | None = None) -> AnySamples:
    """Samples as libsndfile takes them without changing their value.

    Parameters
    ----------
    y : np.ndarray [shape=(channels, n)]
    subtype : str
        In libsndfile's names; of one without integers, `y` comes back.
    dither : np.random.Generator, optional
        Adds noise of triangular distribution and two steps' width, so that what is lost is not correlated with the
        sound. Digital silence stays silent.

    Returns
    -------
    np.ndarray [shape=(channels, n), dtype=int16, int32 or float32]
        int32 for all but 16 bits, with the value in the upper bits.
    """
    bits = _BITS.get(subtype)
    if bits is None:
        return y
    scale = float(1 << (bits - 1))
    wide = bits > 24  # float32 has 24 bits
    x = y.astype(np.float64) * scale if wide or dither is not None else y * np.float32(scale)
    if dither is not None:
        noise = dither.random(y.shape) - dither.random(y.shape)
        x = np.where(y == 0, x, x + noise)
    x = np.clip(np.rint(x), -scale, scale - 1)
    if bits == 16:
        return x.astype(np.int16)
    return x.astype(np.int64 if wide else np.int32).astype(np.int32) << (32 - bits)
