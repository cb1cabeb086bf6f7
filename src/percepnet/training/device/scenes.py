"""What stays as it is while a sequence goes on: the level, the room tone, and what its noises are."""

from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from percepnet.acoustics.mixing import MixingConfig
from percepnet.params import SAMPLE_RATE_HZ
from percepnet.training.device.config import SourceConfig
from percepnet.training.device.corpus import Floats, Ints, Recorded
from percepnet.training.device.rooms import RoomBank
from percepnet.training.device.spectra import COLOUR_KNOTS

NOISES = 2  # at most, at a time
# As `percepnet.acoustics.mixing.Mixer` numbers what is synthetic, and what is recorded behind them.
TILTED, HUM, FAN, BABBLE, KNOCKS, CALLS, RECORDING, EVENTS, CROWD = range(9)
SYNTHETIC_SHARES = (0.32, 0.1, 0.17, 0.22, 0.14, 0.05)
FROM_BANK = {HUM: "hum", FAN: "fan", KNOCKS: "knocks", CALLS: "calls"}


@dataclass
class Scenes:
    """Of each sequence, one a row; noises have an axis of their own behind it.

    `segments_left` and `quiet_left` count what is still to come: segments, and those of them without speech.
    """

    segments_left: Ints
    quiet_left: Ints
    lasting: npt.NDArray[np.bool_]
    level_db: Floats
    snr_db: Floats
    floor_db: Floats
    floor_tilt: Floats
    has_noise: npt.NDArray[np.bool_]
    dc: Floats
    hum_db: Floats  # -inf for none
    hum_which: Ints
    hum_cursor: Ints
    used: npt.NDArray[np.bool_]  # (scenes, noises) and so are all that follow
    kind: Ints
    noise_db: Floats
    tilt: Floats
    swell_db: Floats
    reverse: npt.NDArray[np.bool_]
    room: Ints  # -1 for none
    which: Ints  # recording or sound of the bank
    cursor: Ints
    filters: Floats  # (scenes, noises, 2, 3)
    colours_db: Floats  # (scenes, noises, 10)

    def replace(self, rows: npt.NDArray[np.bool_], others: "Scenes") -> None:
        """Take some rows from others."""
        for field in fields(self):
            getattr(self, field.name)[rows] = getattr(others, field.name)[rows]


def draw_scenes(
    rng: np.random.Generator,
    count: int,
    mixing: MixingConfig,
    source: SourceConfig,
    noise: Recorded,
    bank: dict[str, Ints],
    rooms: RoomBank,
) -> Scenes:
    """Random scenes, as `percepnet.acoustics.mixing.Mixer` draws them one by one.

    Parameters
    ----------
    rng : np.random.Generator
    count : int
    mixing : MixingConfig
    source : SourceConfig
    noise : Recorded
        Noises, and the sounds of the bank behind them.
    bank : dict of str to np.ndarray [shape=(n,), dtype=int]
        Numbers of the sounds of each kind in `noise`.
    rooms : RoomBank

    Returns
    -------
    Scenes
    """
    lasting = rng.random(count) < source.long_share
    segments = np.where(lasting, rng.integers(source.long_min_segments, source.long_max_segments + 1, count), 1)
    alone = lasting & (rng.random(count) < source.noise_alone_share)
    quiet = np.where(alone, rng.integers(1, np.maximum(segments, 2)), 0)
    quiet = np.where(~lasting & (rng.random(count) < mixing.no_speech_share), 1, quiet)

    which_snr, shape = rng.random(count), (count, NOISES)
    snr_db = np.where(
        which_snr < mixing.low_snr_share,
        rng.uniform(-5, 0, count),
        np.where(
            which_snr < mixing.low_snr_share + mixing.high_snr_share,
            rng.uniform(20, 45, count),
            rng.uniform(0, 20, count),
        ),
    )
    has_noise = rng.random(count) >= mixing.no_noise_share
    used = np.stack([has_noise, has_noise & (rng.random(count) < mixing.second_noise_share)], axis=1)
    kind = np.where(rng.random(shape) < mixing.event_share, EVENTS, RECORDING)
    synthetic = (rng.random(shape) < mixing.synthetic_share) | (noise.recordings == 0)
    kind = np.where(synthetic, rng.choice(len(SYNTHETIC_SHARES), shape, p=SYNTHETIC_SHARES), kind)
    if mixing.crowd_share:
        kind = np.where(rng.random(shape) < mixing.crowd_share, CROWD, kind)
    which = np.zeros(shape, np.int64)
    if noise.recordings:
        which = noise.member(rng, noise.group(rng, count * NOISES)).reshape(shape)
    for number, name in FROM_BANK.items():
        which = np.where(kind == number, bank[name][rng.integers(len(bank[name]), size=shape)], which)
    in_room = (rng.random(shape) < mixing.noise_room_share) | (kind == BABBLE) | (kind == CROWD)
    hum_which = bank["hum"][rng.integers(len(bank["hum"]), size=count)]
    hum_db = rng.uniform(source.hum_min_db, source.hum_max_db, count)
    return Scenes(
        segments_left=segments,
        quiet_left=quiet,
        lasting=lasting,
        level_db=rng.uniform(mixing.level_min_db, mixing.level_max_db, count),
        snr_db=snr_db,
        floor_db=rng.uniform(mixing.floor_min_db, mixing.floor_max_db, count),
        floor_tilt=rng.uniform(-9, -3, count),
        has_noise=has_noise,
        dc=np.where(rng.random(count) < source.dc_share, rng.uniform(-source.dc_max, source.dc_max, count), 0.0),
        hum_db=np.where(rng.random(count) < source.hum_share, hum_db, -np.inf),
        hum_which=hum_which,
        hum_cursor=rng.integers(noise.samples[hum_which]),
        used=used,
        kind=kind,
        noise_db=np.stack([np.zeros(count), rng.uniform(-12, 0, count)], axis=1),
        tilt=rng.uniform(-9, 3, shape),
        swell_db=rng.uniform(0, 6, shape),
        reverse=((kind == RECORDING) | (kind == EVENTS)) & (rng.random(shape) < mixing.reverse_share),
        room=np.where(in_room, rooms.draw(rng, count * NOISES, 0.0).reshape(shape), -1),
        which=which,
        cursor=rng.integers(noise.samples[which]),
        filters=random_filters(rng, count * NOISES, mixing.filter_share).reshape(count, NOISES, 2, 3),
        colours_db=random_colours(rng, count * NOISES, mixing.equaliser_share, mixing.noise_colour_db).reshape(
            count, NOISES, COLOUR_KNOTS
        ),
    )


def random_filters(rng: np.random.Generator, count: int, share: float) -> Floats:
    """RNNoise's second-order filters: each half does something for a share of them.

    Returns
    -------
    np.ndarray [shape=(count, 2, 3)]
    """
    found = rng.uniform(-0.375, 0.375, (count, 2, 3)) * (rng.random((count, 2, 1)) < share)
    found[..., 0] = 1
    return found


def random_colours(rng: np.random.Generator, count: int, share: float, deviation_db: float) -> Floats:
    """Gains of octaves, all 0 but for a share.

    Returns
    -------
    np.ndarray [shape=(count, 10)]
    """
    return deviation_db * rng.standard_normal((count, COLOUR_KNOTS)) * (rng.random((count, 1)) < share)


def advance(scenes: Scenes, noise: Recorded, seconds: float) -> None:
    """Let the scenes go on by so much."""
    samples = round(seconds * SAMPLE_RATE_HZ)
    scenes.segments_left -= 1
    scenes.quiet_left = np.maximum(0, scenes.quiet_left - 1)
    scenes.cursor = (scenes.cursor + samples) % noise.samples[scenes.which]
    scenes.hum_cursor = (scenes.hum_cursor + samples) % noise.samples[scenes.hum_which]
