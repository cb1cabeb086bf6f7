"""What a training is fed with where mixtures are made on the device: features and targets, segment by segment."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple, TypeVar

import numpy as np
import torch
from torch import Tensor

from percepnet.errors import PercepNetError
from percepnet.manifest import Split
from percepnet.params import HOP_SAMPLES, SAMPLE_RATE_HZ, SignalParams
from percepnet.training.corpus import Clip, of_split
from percepnet.training.device.config import SourceConfig
from percepnet.training.device.corpus import Recorded
from percepnet.training.device.mixer import DeviceMixer
from percepnet.training.device.rooms import RoomBank, measured_rooms
from percepnet.training.device.synthetic import make_bank
from percepnet.training.features import Recordings
from percepnet.training.precision import full_precision
from percepnet.training.rows import RowLayout
from percepnet.training.signal.examples import Examples, Mixtures, example_state, examples
from percepnet.training.store import AudioStore

LANES_AT_ONCE = {"cuda": 256, "cpu": 2}
State = TypeVar("State", bound=tuple)  # type: ignore[type-arg]


class Segment(NamedTuple):
    """The next segment of all lanes of a batch."""

    examples: Examples
    begins: Tensor  # (lanes,) whether a new sequence begins here, and the network forgets the one before


class DeviceSource:
    """Makes the segments of a batch.

    Parameters
    ----------
    recordings : Recordings
    params : SignalParams
        Of the network that is trained.
    source : SourceConfig
    device : torch.device
    lanes : int
        Sequences side by side.
    seed : int
    split : {"train", "valid"}
    keep_spectra : bool
        Whether segments have spectra beside their rows, which a loss on the enhanced sound needs.

    Raises
    ------
    PercepNetError
        If there is no speech of the split.
    """

    def __init__(
        self,
        recordings: Recordings,
        params: SignalParams,
        source: SourceConfig,
        device: torch.device,
        *,
        lanes: int,
        seed: int,
        split: Split = "train",
        keep_spectra: bool = False,
    ) -> None:
        if round(source.segment_seconds * SAMPLE_RATE_HZ) % HOP_SAMPLES or source.segment_seconds < 1:
            raise PercepNetError(
                f"segment_seconds is {source.segment_seconds}; it must be a multiple of 0.01 from 1 on"
            )
        if recordings.mixing.backwards and source.long_share:
            raise PercepNetError(
                "[mixing] backwards: sequences that go on from segment to segment cannot run backwards: "
                "set [source] long_share = 0, or leave device out"
            )
        self._params, self._keep_spectra, self._backwards = params, keep_spectra, recordings.mixing.backwards
        self._mixer = _mixer(recordings, source, device, lanes, seed, split)
        at_once = source.lanes_at_once or LANES_AT_ONCE.get(device.type, 8)
        self._groups = [slice(start, min(lanes, start + at_once)) for start in range(0, lanes, at_once)]
        analysed = RowLayout(params).analysed
        self._initial = example_state(1, analysed, device)
        self._states = [example_state(some.stop - some.start, analysed, device) for some in self._groups]

    @torch.no_grad()
    def segment(self, number: int) -> Segment:
        """The next segment of all lanes.

        Parameters
        ----------
        number : int
            Of the segment: the mixtures follow from it and the seed.

        Returns
        -------
        Segment
        """
        with full_precision():
            mixtures, begins = self._mixer.segment(number)
            if self._backwards:
                mixtures = mixtures._replace(clean=mixtures.clean.flip(1), noisy=mixtures.noisy.flip(1))
            found = []
            for index, some in enumerate(self._groups):
                state = restarted(self._states[index], self._initial, begins[some])
                made, self._states[index] = examples(Mixtures(*(part[some] for part in mixtures)), self._params, state)
                spectra = made[1:] if self._keep_spectra else [spectrum[:0] for spectrum in made[1:]]
                found.append(Examples(made.rows, *spectra))
        return Segment(Examples(*(torch.cat(parts) for parts in zip(*found, strict=True))), begins)


def restarted(state: State, initial: State, begins: Tensor) -> State:
    """A state of which some lanes are as at the beginning.

    Parameters
    ----------
    state, initial : NamedTuple of Tensor [shape=(lanes, ...)], or of more such
        `initial` of one lane.
    begins : Tensor [shape=(lanes,), dtype=bool]
    """
    parts = (
        restarted(old, new, begins)
        if isinstance(old, tuple)
        else torch.where(begins.view(-1, *[1] * (old.dim() - 1)), new, old)
        for old, new in zip(state, initial, strict=True)
    )
    return type(state)(*parts)


def held_out_rows(
    recordings: Recordings, params: SignalParams, source: SourceConfig, device: torch.device, seed: int, count: int
) -> Any:
    """Held-out sequences to validate with, as `percepnet.training.features.make_shard` makes them.

    Returns
    -------
    np.ndarray [shape=(sequences, frames, columns of RowLayout), dtype=float16], or None
        None where nothing is held out.
    """
    if not of_split(recordings.speech, "valid"):
        return None
    single = replace(source, long_share=0.0)
    made = DeviceSource(recordings, params, single, device, lanes=count, seed=seed, split="valid").segment(0)
    return made.examples.rows.to(torch.float16).cpu().numpy()


def decode_all(recordings: Recordings, source: SourceConfig, seed: int) -> None:
    """Decode all recordings and make the bank, by all processors; sources find them in the folder afterwards."""
    for split in ("train", "valid"):
        for clips in (recordings.speech, recordings.noise):
            AudioStore(of_split(clips, split), recordings.folder).decoded()
    make_bank(seed, source.bank_noises, source.bank_rooms, cache=recordings.folder)


def _mixer(
    recordings: Recordings, source: SourceConfig, device: torch.device, lanes: int, seed: int, split: Split
) -> DeviceMixer:
    speech, noise, rooms = (of_split(clips, split) for clips in (recordings.speech, recordings.noise, recordings.rooms))
    if not speech:
        raise PercepNetError(f"no speech of the split {split!r}")
    bank = make_bank(seed, source.bank_noises, source.bank_rooms, cache=recordings.folder)
    sources = {clip.source for clip in speech}
    weights = {name: factor for name, factor in recordings.speech_weights.items() if name in sources}
    spoken = _recorded(
        speech, recordings, device, lambda clip: f"{clip.source}/{clip.speaker or clip.path.name}", weights
    )
    extra = [sound for sounds in bank.noises.values() for sound in sounds]
    sounds = _recorded(noise, recordings, device, lambda clip: clip.category, {}, extra)
    ends = np.cumsum([len(noise)] + [len(found) for found in bank.noises.values()])
    numbers = {
        kind: np.arange(end - len(found), end) for (kind, found), end in zip(bank.noises.items(), ends[1:], strict=True)
    }
    store = AudioStore(rooms, recordings.folder)
    measured = measured_rooms([store.read(index) for index in range(len(rooms))])
    bank_of_rooms = RoomBank(measured, bank.rooms, device)
    return DeviceMixer(spoken, sounds, numbers, bank_of_rooms, recordings.mixing, source, lanes, seed)


def _recorded(
    clips: Sequence[Clip],
    recordings: Recordings,
    device: torch.device,
    group: Callable[[Clip], str],
    weights: dict[str, float],
    extra: Sequence[Any] = (),
) -> Recorded:
    store = AudioStore(clips, recordings.folder)
    groups, wider = [group(clip) for clip in clips], [clip.source for clip in clips]
    return Recorded(store, device, groups, wider, weights, extra)
