"""How loud a sound is."""

import numpy as np
import numpy.typing as npt


def level_db(x: npt.NDArray[np.floating]) -> float:
    """Mean square, in dB; silence has -300."""
    return float(10 * np.log10(np.mean(np.square(x, dtype=np.float64)) + 1e-30))
