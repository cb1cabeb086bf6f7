"""Other systems that are timed beside this one, each behind one function. Another one is one more entry of `PEERS`."""

import ctypes
from collections.abc import Callable, Iterable
from importlib.metadata import version
from typing import NamedTuple

import numpy as np

from percepnet.arrays import Samples
from percepnet.bench.measure import System
from percepnet.errors import PercepNetError
from percepnet.params import HOP_SAMPLES


class Peer(NamedTuple):
    """How a system is called, and what its package is."""

    title: str
    package: str
    start: Callable[[], System]


class PeerMissing(PercepNetError):
    """The package of a peer is not installed, or does not run here."""


def _rnnoise() -> System:
    from pyrnnoise import rnnoise

    if rnnoise.FRAME_SIZE != HOP_SAMPLES:
        raise PeerMissing(f"its frames have {rnnoise.FRAME_SIZE} samples")
    state = rnnoise.create()
    # The library's own function on a buffer that stays: the package's process_mono_frame adds checks and conversions
    # to int16 that take as long as a tenth of the frame, and its class resamples.
    buffer = np.zeros(HOP_SAMPLES, dtype=np.float32)
    pointer = buffer.ctypes.data_as(ctypes.POINTER(ctypes.c_float))
    suppress = rnnoise.lib.rnnoise_process_frame

    def process(hop: Samples) -> object:
        np.multiply(hop, np.float32(32768), out=buffer)
        return suppress(state, pointer, pointer)

    return System("rnnoise", process)


PEERS = {"rnnoise": Peer("RNNoise", "pyrnnoise", _rnnoise)}


def check_peers(names: Iterable[str]) -> None:
    """Raise PercepNetError for a name that is not in `PEERS`."""
    for name in names:
        if name not in PEERS:
            raise PercepNetError(f"unknown system {name!r}: choose from {', '.join(PEERS)}, or none")


def start_peer(name: str) -> System:
    """A peer, ready for its first frame.

    Raises
    ------
    PercepNetError
        For a name that is not in `PEERS`.
    PeerMissing
        If it cannot run here.
    """
    check_peers([name])
    peer = PEERS[name]
    try:
        return peer.start()
    except (ImportError, OSError) as error:
        raise PeerMissing(f"not measured, {peer.package} cannot be imported: pip install {peer.package}") from error


def peer_version(name: str) -> str:
    """Version of a peer's package."""
    return version(PEERS[name].package)
