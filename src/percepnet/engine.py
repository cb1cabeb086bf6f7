"""Which code runs the signal path: the C core where it is installed, or its definition in NumPy."""

import os
from typing import Protocol

from percepnet import native, native_analysis
from percepnet.arrays import Samples
from percepnet.errors import PercepNetError
from percepnet.model import Model
from percepnet.params import SignalParams
from percepnet.reference import analysis as reference_analysis
from percepnet.reference import enhancer as reference
from percepnet.reference.analysis import FrontHalf

VARIABLE = "PERCEPNET_ENGINE"
CORE, NUMPY = "core", "numpy"


class FrameEnhancer(Protocol):
    """What both engines are to a stream."""

    def process(self, hops: Samples) -> Samples:
        """Enhance the next 480 * n samples of each channel."""

    def reset(self) -> None:
        """Begin a new stream."""


def engine() -> str:
    """The engine that the next stream will run on: the environment variable PERCEPNET_ENGINE, or the best at hand.

    Returns
    -------
    str
        "core" or "numpy".

    Raises
    ------
    PercepNetError
        If the variable has another value, or asks for a core that is not there.
    """
    wanted = os.environ.get(VARIABLE, "")
    if wanted not in ("", CORE, NUMPY):
        raise PercepNetError(f"{VARIABLE} is {wanted!r}: set it to {CORE} or {NUMPY}, or leave it out")
    if wanted == NUMPY:
        return NUMPY
    try:
        native.library()
    except native.CoreMissing as missing:
        if wanted == CORE:
            raise PercepNetError(f"{VARIABLE} is {CORE}, but {missing}") from missing
        return NUMPY
    return CORE


def frame_enhancer(
    model: Model,
    channels: int = 1,
    *,
    comb_filter: bool = True,
    post_filter: bool = False,
    attenuation_limit_db: float | None = None,
) -> FrameEnhancer:
    """A stream on the engine of this moment.

    Parameters
    ----------
    model, channels, comb_filter, post_filter, attenuation_limit_db
        As of :class:`percepnet.reference.enhancer.FrameEnhancer`.

    Returns
    -------
    FrameEnhancer
    """
    made_by = native.FrameEnhancer if engine() == CORE else reference.FrameEnhancer
    return made_by(
        model,
        channels,
        comb_filter=comb_filter,
        post_filter=post_filter,
        attenuation_limit_db=attenuation_limit_db,
    )


def analysis(params: SignalParams) -> FrontHalf:
    """The signal path up to the network, of one channel, on the engine of this moment.

    Parameters
    ----------
    params : SignalParams

    Returns
    -------
    FrontHalf
    """
    made_by = native_analysis.Analysis if engine() == CORE else reference_analysis.Analysis
    return made_by(params)
