"""A bank of rooms on a device: measured ones and simulated ones, of which small furnished ones are drawn most."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from percepnet.acoustics.rooms import (
    BEFORE_DIRECT_SAMPLES,
    EARLY_S,
    ROOM_MAX_S,
    TARGET_RT60_S,
    direct_first,
    reverberation_time_s,
    simulated_room,
)
from percepnet.params import SAMPLE_RATE_HZ
from percepnet.training.device.corpus import Ints, on_device

ROOM_SAMPLES = round(ROOM_MAX_S * SAMPLE_RATE_HZ)
EARLY_SAMPLES = round(EARLY_S * SAMPLE_RATE_HZ) + BEFORE_DIRECT_SAMPLES
SMALL_RT60_S = 0.5  # furnished rooms of homes and offices; beyond, a room is drawn less the longer it rings

Response = npt.NDArray[np.float32]


class RoomBank:
    """Impulse responses, and how fast the late part of each has to decay in the target.

    Parameters
    ----------
    measured : sequence of np.ndarray [shape=(n,)]
    simulated : sequence of np.ndarray [shape=(n,)]
        As from `percepnet.acoustics.rooms.direct_first`; at least one.
    device : torch.device
    """

    def __init__(self, measured: Sequence[Response], simulated: Sequence[Response], device: torch.device) -> None:
        rooms = [*measured, *simulated]
        rt60_s = np.array([reverberation_time_s(room) for room in rooms])
        whole = np.zeros((len(rooms), ROOM_SAMPLES), np.float32)
        for row, room in zip(whole, rooms, strict=True):
            row[: len(room)] = room[:ROOM_SAMPLES]
        self.responses = torch.from_numpy(whole).to(device)
        excess = np.maximum(0, 1 / TARGET_RT60_S - 1 / np.maximum(rt60_s, TARGET_RT60_S))
        self._excess = torch.from_numpy(excess.astype(np.float32)).to(device)
        late = (torch.arange(ROOM_SAMPLES, device=device) - BEFORE_DIRECT_SAMPLES) / SAMPLE_RATE_HZ - EARLY_S
        self._late_s = late.clamp(min=0)
        self._shares = np.minimum(1, SMALL_RT60_S / np.maximum(rt60_s, 1e-3)) ** 2
        self._measured = len(measured)

    def draw(self, rng: np.random.Generator, count: int, measured_share: float) -> Ints:
        """Random rooms: measured ones by a share, simulated ones otherwise."""
        wants_measured = rng.random(count) < (measured_share if self._measured else 0.0)
        ends = np.cumsum(self._shares)
        split = ends[self._measured - 1] if self._measured else 0.0
        low, high = np.where(wants_measured, 0.0, split), np.where(wants_measured, split, ends[-1])
        places = low + rng.random(count) * (high - low)
        return np.minimum(np.searchsorted(ends, places, side="right"), len(ends) - 1)

    def spectra(self, which: Ints, early: npt.NDArray[np.float32], bins: int) -> tuple[Tensor, Tensor]:
        """Rooms at other distances, and what is left of them in the target.

        Parameters
        ----------
        which : np.ndarray [shape=(batch,), dtype=int]
        early : np.ndarray [shape=(batch,), dtype=float32]
            Factor on the first 20 ms.
        bins : int

        Returns
        -------
        room, target : Tensor [shape=(batch, bins), complex]
        """
        device = self.responses.device
        index = on_device(which, device)
        responses = self.responses[index]
        responses[:, :EARLY_SAMPLES] *= on_device(early, device)[:, None]
        shorter = responses * 10 ** (-3 * self._late_s * self._excess[index][:, None])
        return tuple(torch.fft.rfft(room, n=2 * (bins - 1)) for room in (responses, shorter))

    def room_spectra(self, which: Ints, bins: int) -> Tensor:
        """Rooms as they are.

        Returns
        -------
        Tensor [shape=(batch, bins), complex]
        """
        return torch.fft.rfft(self.responses[on_device(which, self.responses.device)], n=2 * (bins - 1))


def simulate_room(seed: Sequence[int]) -> Response:
    """A simulated room of a seed, for processes that make many."""
    return simulated_room(np.random.default_rng(list(seed)))


def measured_rooms(responses: Sequence[Response]) -> list[Response]:
    """Measured responses, made ready."""
    return [direct_first(response) for response in responses]
