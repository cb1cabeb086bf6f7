"""Mixtures of a batch: what `percepnet.acoustics.mixing.Mixer` makes one at a time, with the same settings.

Each lane of the batch is a sequence that goes on from segment to segment, until its scene ends and another begins.
Where it goes on, segments overlap and are cross-faded.

Differences from `Mixer`: speeds are drawn for groups of lanes; the speaker is drawn before the recording; rooms that
ring long are drawn less; events are played at other speeds by linear interpolation.
"""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from percepnet.acoustics.mixing import (
    BABBLE_VOICES,
    CROWD_SOFTEST_DB,
    CROWD_TABLES,
    CROWD_VOICES,
    FADE_SAMPLES,
    LIMIT_SLOPE,
    LOWPASS_RATES_HZ,
    NEARLY_CLEAN_DB,
    MixingConfig,
)
from percepnet.acoustics.rooms import BEFORE_DIRECT_SAMPLES
from percepnet.params import SAMPLE_RATE_HZ
from percepnet.training.device.config import SourceConfig
from percepnet.training.device.corpus import Floats, Ints, Pieces, Recorded, on_device
from percepnet.training.device.events import events, loudest_moments
from percepnet.training.device.rooms import ROOM_SAMPLES, RoomBank
from percepnet.training.device.scenes import (
    BABBLE,
    CROWD,
    EVENTS,
    RECORDING,
    TILTED,
    Scenes,
    advance,
    draw_scenes,
    random_colours,
    random_filters,
)
from percepnet.training.device.spectra import (
    at_speed,
    lowpass,
    microphones,
    noise_spectrum,
    smooth_length,
    speeds,
    tilts,
)
from percepnet.training.signal.examples import Mixtures
from percepnet.training.signal.levels import active_rms, rms

CROSSFADE_SAMPLES = SAMPLE_RATE_HZ // 10
GROUP = 16  # lanes that share a speed, and what batches of transforms are a multiple of
TINY = 1e-12


class DeviceMixer:
    """Makes segments of mixtures for all lanes of a batch.

    Parameters
    ----------
    speech : Recorded
    noise : Recorded
        Recorded noises, if there are any, and behind them the sounds of the bank.
    bank : dict of str to np.ndarray [shape=(n,), dtype=int]
        Numbers of the bank's sounds in `noise`, by kind.
    rooms : RoomBank
    mixing : MixingConfig
    source : SourceConfig
    lanes : int
    seed : int
        All that is made follows from it and the number of the segment, but for the order in which a GPU adds up.
    """

    def __init__(
        self,
        speech: Recorded,
        noise: Recorded,
        bank: dict[str, Ints],
        rooms: RoomBank,
        mixing: MixingConfig,
        source: SourceConfig,
        lanes: int,
        seed: int,
    ) -> None:
        self.device = speech.audio.device
        self.lanes = lanes
        self._speech, self._noise, self._bank, self._rooms = speech, noise, bank, rooms
        self._mixing, self._source, self._seed = mixing, source, seed
        self._moments = loudest_moments(noise)
        self._segment = round(source.segment_seconds * SAMPLE_RATE_HZ)
        self._samples = self._segment + CROSSFADE_SAMPLES
        self._length = smooth_length(self._samples + ROOM_SAMPLES)
        self._bins = self._length // 2 + 1
        self._group = max(1, min(GROUP, lanes // 8))
        self._generator = torch.Generator(self.device)
        self._scenes: Scenes | None = None
        self._noise_scale = torch.zeros(lanes, device=self.device)
        self._tails = torch.zeros(2, lanes, CROSSFADE_SAMPLES, device=self.device)
        fade = torch.linspace(0, 1, CROSSFADE_SAMPLES, device=self.device)
        self._fade = fade

    @torch.no_grad()
    def segment(self, number: int) -> tuple[Mixtures, Tensor]:
        """The next segment of all lanes.

        Parameters
        ----------
        number : int
            Of the segment.

        Returns
        -------
        mixtures : Mixtures
        begins : Tensor [shape=(lanes,), dtype=bool]
            Where a new sequence begins.
        """
        rng = np.random.default_rng([self._seed, 8, number])
        self._generator.manual_seed(int(rng.integers(2**62)))
        scenes, begins = self._next_scenes(rng)
        fresh = on_device(begins, self.device)
        speaking = scenes.quiet_left == 0

        softer = self._interruptions(rng)
        clean, noisy, bandwidth_hz = self._voices(rng, softer)
        level = self._amplitude(scenes.level_db)
        spoken = active_rms(noisy)
        scale = (on_device(speaking, self.device) * level / spoken.clamp(min=TINY))[:, None]
        clean, noisy = clean.mul_(scale), noisy.mul_(scale)
        bandwidth_hz = np.where(speaking, bandwidth_hz, SAMPLE_RATE_HZ / 2)

        floor = torch.fft.irfft(self._tilted(scenes.floor_tilt), n=self._length)[:, : self._samples]
        floor *= (level * self._amplitude(scenes.floor_db) / rms(floor).clamp(min=TINY))[:, None]
        clean, noisy = clean.add_(floor), noisy.add_(floor)
        noises = self._noises(rng, scenes)
        snr_db = scenes.snr_db + self._quieter_db(rng, softer)
        found = level * self._amplitude(-snr_db) / active_rms(noises).clamp(min=TINY)
        lasts = fresh | on_device(~scenes.lasting, self.device)
        self._noise_scale = torch.where(lasts, found, self._noise_scale)
        noisy.addcmul_(noises, (self._noise_scale * on_device(scenes.has_noise, self.device))[:, None])
        self._add_hum(noisy, scenes, level)

        clean, noisy, cutoff_hz = self._narrowed(rng, clean, noisy, bandwidth_hz)
        noisy += on_device(scenes.dc.astype(np.float32), self.device)[:, None]
        clean, noisy = self._recorded(rng, clean, noisy)
        clean, noisy = (self._joined(which, sound, fresh) for which, sound in enumerate((clean, noisy)))
        spoken_hz = on_device(np.minimum(bandwidth_hz, cutoff_hz).astype(np.float32), self.device)
        all_hz = on_device(cutoff_hz.astype(np.float32), self.device)
        return Mixtures(clean, noisy, spoken_hz, all_hz, self._limit_db(clean, noisy)), fresh

    def _next_scenes(self, rng: np.random.Generator) -> tuple[Scenes, np.ndarray]:
        arguments = (self._mixing, self._source, self._noise, self._bank, self._rooms)
        new = draw_scenes(rng, self.lanes, *arguments)
        if self._scenes is None:
            self._scenes, begins = new, np.ones(self.lanes, bool)
        else:
            advance(self._scenes, self._noise, self._source.segment_seconds)
            begins = self._scenes.segments_left <= 0
            self._scenes.replace(begins, new)
        return self._scenes, begins

    def _voices(self, rng: np.random.Generator, softer: Floats) -> tuple[Tensor, Tensor, Floats]:
        """Clean and noisy speech in rooms, at any level, and its bandwidth."""
        mixing, lanes = self._mixing, self.lanes
        spectrum = torch.empty(lanes, self._bins, dtype=torch.complex64, device=self.device)
        bandwidth_hz = np.zeros(lanes)
        limits = (mixing.speed_share, mixing.speed_min, mixing.speed_max)
        for rows, length in self._speeds(rng, np.arange(lanes), *limits):
            pieces, sound = self._stretch(rng, self._speech, len(rows), length)
            sound *= self._interrupted(sound.shape[1], length, softer[self._filled_up(rows)])
            self._put(spectrum, rows, at_speed(sound, length, self._bins))
            ends_hz = np.minimum(pieces.bandwidth_hz * length / self._length, SAMPLE_RATE_HZ / 2)
            bandwidth_hz[rows] = ends_hz[: len(rows)]
        filters = random_filters(rng, lanes, mixing.filter_share)
        colours = random_colours(rng, lanes, mixing.equaliser_share, mixing.speech_colour_db)
        spectrum *= self._microphones(filters, colours)

        in_room = np.flatnonzero(rng.random(lanes) < mixing.room_share)
        noisy = torch.fft.irfft(spectrum, n=self._length)[:, : self._samples].contiguous()
        clean = noisy.clone()
        if len(in_room):
            rows = self._filled_up(in_room)
            which = self._rooms.draw(rng, len(rows), mixing.measured_room_share)
            early = rng.uniform(0.5, 1.5, len(rows)).astype(np.float32)
            direct = spectrum[self._index(rows)]
            for sound, room in zip((noisy, clean), self._rooms.spectra(which, early, self._bins), strict=True):
                heard = torch.fft.irfft(direct * room, n=self._length)[:, BEFORE_DIRECT_SAMPLES:]
                self._put(sound, in_room, heard[:, : self._samples])
        return clean, noisy, bandwidth_hz

    def _interruptions(self, rng: np.random.Generator) -> Floats:
        """Start, end and gain of a stretch in which each voice is silent or softer [shape=(lanes, 3)]."""
        mixing, count = self._mixing, self.lanes
        what = rng.choice(
            3, count, p=(mixing.pause_share, mixing.distance_share, 1 - mixing.pause_share - mixing.distance_share)
        )
        pause = rng.uniform(mixing.pause_min_s, mixing.pause_max_s, count) * SAMPLE_RATE_HZ
        distant = rng.uniform(0.25, 0.75, count) * self._samples
        start = np.where(rng.random(count) < 0.5, 0.0, rng.uniform(0, self._samples, count))
        end = start + np.select([what == 0, what == 1], [pause, distant], 0.0)
        lowest = max(6.0, mixing.distance_max_db)
        gain = np.select([what == 0, what == 1], [np.zeros(count), 10 ** (-rng.uniform(6, lowest, count) / 20)], 1.0)
        return np.stack([start, end, gain], axis=1)

    def _quieter_db(self, rng: np.random.Generator, softer: Floats) -> Floats:
        """How much softer the noise is where somebody is far away in a quiet room."""
        share, gain = self._mixing.quiet_distance_share, softer[:, 2]
        if not share:
            return np.zeros(self.lanes)
        farther_db = -20 * np.log10(np.where(gain > 0, gain, 1.0))
        return farther_db * rng.random(self.lanes) * (rng.random(self.lanes) < share)

    def _interrupted(self, samples: int, length: int, softer: Floats) -> Tensor:
        """Gains of voices that will be played at another speed."""
        start, end, gain = on_device(softer.astype(np.float32), self.device)[..., None].unbind(1)
        at = torch.arange(samples, device=self.device) * (self._length / length)
        share = torch.where(start > 0, ((at - start) / FADE_SAMPLES).clamp(0, 1), 1.0)
        return torch.where((at >= start) & (at < end), 1 + share * (gain - 1), 1.0)

    def _noises(self, rng: np.random.Generator, scenes: Scenes) -> Tensor:
        """All noises of each lane, at any level."""
        mixing = self._mixing
        lane, slot = np.nonzero(scenes.used)
        total = torch.zeros(self.lanes, self._samples, device=self.device)
        if not len(lane):
            return total
        # what fills up the batch is not heard
        filled = self._filled_up(np.arange(len(lane)))
        weight = (np.arange(len(filled)) < len(lane)) * 10 ** (scenes.noise_db[lane, slot][filled] / 20)
        lane, slot = lane[filled], slot[filled]
        kind, reverse = scenes.kind[lane, slot], scenes.reverse[lane, slot]
        which, cursor = scenes.which[lane, slot], scenes.cursor[lane, slot]
        lasting = scenes.lasting[lane]

        spectrum = torch.zeros(len(lane), self._bins, dtype=torch.complex64, device=self.device)
        played = np.flatnonzero((kind == RECORDING) & ~lasting)
        limits = (mixing.noise_speed_share, mixing.noise_speed_min, mixing.noise_speed_max)
        for rows, length in self._speeds(rng, played, *limits):
            more = self._filled_up(rows)
            _, sound = self._stretch(rng, self._noise, len(rows), length, self._noise.group_of[which[more]])
            self._put(spectrum, rows, at_speed(self._reversed(sound, reverse[more]), length, self._bins))

        def rushing(rows: Ints) -> Tensor:
            return events(rng, self._noise, self._moments, which[rows], self._samples, mixing)

        is_new = np.isin(kind, (TILTED, BABBLE, CROWD, EVENTS))
        onwards = ~is_new & ((kind != RECORDING) | lasting)
        makers: list[tuple[np.ndarray, Callable[[Ints], Tensor]]] = [
            (kind == BABBLE, lambda rows: self._babble(rng, len(rows))),
            (kind == CROWD, lambda rows: self._crowd(rng, len(rows))),
            (kind == EVENTS, rushing),
            (onwards, lambda rows: self._onwards(which[rows], cursor[rows])),
        ]
        for wanted, maker in makers:
            if len(rows := np.flatnonzero(wanted)):
                more = self._filled_up(rows)
                sound = self._reversed(maker(more), reverse[more])
                self._put(spectrum, rows, torch.fft.rfft(sound, n=self._length))
        tilted = np.flatnonzero(kind == TILTED)
        if len(tilted):
            spectrum.index_copy_(0, self._index(tilted), self._tilted(scenes.tilt[lane, slot][tilted]))

        spectrum *= self._microphones(scenes.filters[lane, slot], scenes.colours_db[lane, slot])
        room = scenes.room[lane, slot]
        in_room = np.flatnonzero(room >= 0)
        if len(in_room):
            rows = self._filled_up(in_room)
            there = spectrum[self._index(rows)] * self._rooms.room_spectra(room[rows], self._bins)
            self._put(spectrum, in_room, there)
        sound = torch.fft.irfft(spectrum, n=self._length)[:, : self._samples].contiguous()
        if len(tilted):
            swell = self._swelling(rng, scenes.swell_db[lane, slot][tilted])
            rows_t = self._index(tilted)
            sound.index_copy_(0, rows_t, sound[rows_t] * swell)
        sound *= (on_device(weight.astype(np.float32), self.device) / active_rms(sound).clamp(min=TINY))[:, None]
        return total.index_add_(0, self._index(lane), sound)

    def _swelling(self, rng: np.random.Generator, deviation_db: Floats) -> Tensor:
        knots = max(2, round(self._samples / SAMPLE_RATE_HZ) + 1)
        level_db = (deviation_db[:, None] * rng.standard_normal((len(deviation_db), knots))).astype(np.float32)
        wandering = torch.nn.functional.interpolate(
            on_device(level_db, self.device)[:, None], self._samples, mode="linear", align_corners=True
        )
        return 10 ** (wandering[:, 0] / 20)

    def _babble(self, rng: np.random.Generator, count: int) -> Tensor:
        row, sound = self._talkers(rng, rng.integers(*BABBLE_VOICES, count))
        sound *= self._amplitude(rng.uniform(-8, 0, len(row)))[:, None]
        return torch.zeros(count, self._samples, device=self.device).index_add_(0, self._index(row), sound)

    def _crowd(self, rng: np.random.Generator, count: int) -> Tensor:
        row, sound = self._talkers(rng, rng.integers(*CROWD_VOICES, count))
        total = torch.zeros(count, self._samples, device=self.device)
        for _ in range(CROWD_TABLES):
            later = torch.stack([x.roll(int(rng.integers(self._samples))) for x in sound])
            later *= self._amplitude(rng.uniform(CROWD_SOFTEST_DB, 0, len(row)))[:, None]
            total.index_add_(0, self._index(row), later)
        return total

    def _talkers(self, rng: np.random.Generator, voices: Ints) -> tuple[Ints, Tensor]:
        """As many voices as each row is to have: their rows, and what they say, of active level 1."""
        row = np.repeat(np.arange(len(voices)), voices)
        sound = self._speech.render(self._speech.draw(rng, np.full(len(row), self._samples)), self._samples)
        return row, sound.div_(active_rms(sound).clamp(min=1e-5)[:, None])

    def _add_hum(self, noisy: Tensor, scenes: Scenes, level: Tensor) -> None:
        rows = np.flatnonzero(np.isfinite(scenes.hum_db))
        if len(rows):
            sound = self._onwards(scenes.hum_which[rows], scenes.hum_cursor[rows])
            rows_t = self._index(rows)
            gain = level[rows_t] * self._amplitude(scenes.hum_db[rows]) / rms(sound).clamp(min=TINY)
            noisy.index_add_(0, rows_t, sound * gain[:, None])

    def _narrowed(
        self, rng: np.random.Generator, clean: Tensor, noisy: Tensor, bandwidth_hz: Floats
    ) -> tuple[Tensor, Tensor, Floats]:
        """Both without their treble, for a share of the lanes, and where it ends."""
        mixing, lanes = self._mixing, self.lanes
        own = (rng.random(lanes) < mixing.own_lowpass_share) & (bandwidth_hz < 0.9 * SAMPLE_RATE_HZ / 2)
        other = rng.random(lanes) < mixing.lowpass_share
        rates_hz = np.array(LOWPASS_RATES_HZ)[rng.integers(len(LOWPASS_RATES_HZ), size=lanes)]
        cutoff_hz = np.where(own, bandwidth_hz, np.where(other, 0.47 * rates_hz, SAMPLE_RATE_HZ / 2))
        rows = np.flatnonzero(cutoff_hz < SAMPLE_RATE_HZ / 2)
        if len(rows):
            more = self._filled_up(rows)
            response = lowpass(on_device(cutoff_hz[more].astype(np.float32), self.device), self._bins)
            for sound in (clean, noisy):
                spectrum = torch.fft.rfft(sound[self._index(more)], n=self._length).mul_(response)
                self._put(sound, rows, torch.fft.irfft(spectrum, n=self._length)[:, : self._samples])
        return clean, noisy, cutoff_hz

    def _recorded(self, rng: np.random.Generator, clean: Tensor, noisy: Tensor) -> tuple[Tensor, Tensor]:
        """A change of level, an overdriven input, 16 bits."""
        mixing, lanes = self._mixing, self.lanes
        step = np.where(rng.random(lanes) < mixing.step_share, 10 ** (rng.uniform(-15, 6, lanes) / 20), 1.0)
        values = np.stack(
            [
                step,
                rng.integers(self._samples, size=lanes),
                rng.random(lanes) < mixing.clip_share,
                10 ** (rng.uniform(0, 9, lanes) / 20),
                rng.random(lanes) < mixing.rounding_share,
            ]
        )
        step_t, at, clips, drive, rounds = on_device(values.astype(np.float32), self.device)[..., None]
        gain = torch.where(torch.arange(self._samples, device=self.device) >= at, step_t, 1.0)
        clean, noisy = clean.mul_(gain), noisy.mul_(gain)
        peak = noisy.abs().amax(dim=1, keepdim=True).clamp(min=TINY)
        gain = torch.where(clips > 0, drive / peak, 1 / peak.clamp(min=1))
        clean, noisy = clean.mul_(gain), noisy.mul_(gain).clamp_(-1, 1)
        return clean, torch.where(rounds > 0, torch.round(noisy * 32768) / 32768, noisy)

    def _joined(self, which: int, sound: Tensor, fresh: Tensor) -> Tensor:
        """The segment, faded in over the end of the one before where a sequence goes on."""
        begin, rest = sound[:, :CROSSFADE_SAMPLES], sound[:, CROSSFADE_SAMPLES : self._segment]
        blended = torch.where(fresh[:, None], begin, torch.lerp(self._tails[which], begin, self._fade))
        self._tails[which] = sound[:, self._segment :]
        return torch.cat([blended, rest], dim=1)

    def _limit_db(self, clean: Tensor, noisy: Tensor) -> Tensor:
        """See `percepnet.acoustics.mixing.attenuation_limit_db`."""
        clean_limit_db = self._mixing.clean_limit_db
        if clean_limit_db == np.inf:
            return torch.full((self.lanes,), torch.inf, device=self.device)
        ratio_db = 20 * torch.log10(active_rms(clean) / active_rms(noisy - clean).clamp(min=TINY))
        return clean_limit_db + LIMIT_SLOPE * (NEARLY_CLEAN_DB - ratio_db).clamp(min=0)

    def _speeds(
        self, rng: np.random.Generator, rows: Ints, share: float, slowest: float, fastest: float
    ) -> list[tuple[Ints, int]]:
        """Rows in groups, and the length of what becomes a segment at the speed of each."""
        rows = rng.permutation(rows)
        groups = int(rng.binomial(len(rows), share)) // self._group
        lengths = speeds(self._length, slowest, fastest)
        found = []
        for number in range(groups):
            wanted = self._length * np.exp(rng.uniform(np.log(slowest), np.log(fastest)))
            length = int(lengths[np.argmin(np.abs(lengths - wanted))])
            found.append((rows[number * self._group : (number + 1) * self._group], length))
        rest = rows[groups * self._group :]
        return [*found, (rest, self._length)] if len(rest) else found

    def _stretch(
        self, rng: np.random.Generator, recorded: Recorded, count: int, length: int, whose: Ints | None = None
    ) -> tuple[Pieces, Tensor]:
        """As many random stretches, filled up, of what becomes a segment."""
        needs = int(np.ceil(self._samples * length / self._length)) + 1
        pieces = recorded.draw(rng, np.full(count + -count % self._group, needs), whose)
        return pieces, recorded.render(pieces, needs)

    def _onwards(self, which: Ints, cursors: Ints) -> Tensor:
        pieces = self._noise.onwards(which, cursors, np.full(len(which), self._samples))
        return self._noise.render(pieces, self._samples)

    def _reversed(self, sound: Tensor, reverse: np.ndarray) -> Tensor:
        if not reverse.any():
            return sound
        return torch.where(on_device(reverse, self.device)[:, None], sound.flip(1), sound)

    def _tilted(self, db_per_octave: Floats) -> Tensor:
        slope = on_device(db_per_octave.astype(np.float32), self.device)
        return noise_spectrum(len(db_per_octave), self._bins, self._generator).mul_(tilts(slope, self._bins))

    def _microphones(self, filters: Floats, colours_db: Floats) -> Tensor:
        parts = [on_device(values.astype(np.float32), self.device) for values in (filters, colours_db)]
        return microphones(parts[0], parts[1], self._bins)

    def _amplitude(self, db: Floats) -> Tensor:
        return on_device((10 ** (db / 20)).astype(np.float32), self.device)

    def _index(self, rows: Ints) -> Tensor:
        return on_device(np.asarray(rows, np.int64), self.device)

    def _put(self, target: Tensor, rows: Ints, values: Tensor) -> None:
        """Write rows, without those that only fill up."""
        target.index_copy_(0, self._index(rows), values[: len(rows)])

    def _filled_up(self, rows: Ints) -> Ints:
        """Rows, the last again and again up to a multiple of the group: few sizes of transforms need few plans."""
        return np.concatenate([rows, np.full(-len(rows) % self._group, rows[-1])])
