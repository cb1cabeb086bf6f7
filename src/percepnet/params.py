"""Every constant of the signal path, with its unit and its source.

Sources: "article" is the Amazon Science description of PercepNet; "P20" is Valin et al., Interspeech 2020
(arXiv 2008.04259); "P21" is Valin et al., arXiv 2102.05245; "RNNoise" is the later code of the same first author.
"""

from dataclasses import dataclass
from itertools import accumulate, pairwise

from percepnet.errors import ModelError

SAMPLE_RATE_HZ = 48_000  # article: full band
WINDOW_SAMPLES = 960  # article: 20 ms windows
HOP_SAMPLES = 480  # article: 50 % overlap, 10 ms at a time
BINS = WINDOW_SAMPLES // 2 + 1  # 50 Hz apart, 0 Hz to 24 kHz
FRAMES_PER_SECOND = SAMPLE_RATE_HZ // HOP_SAMPLES

# 34 edges in bins of 50 Hz, each the centre of a triangle: ERB wide (Glasberg and Moore), at least 100 Hz, 0 to 20 kHz.
# P20 does not print its table; this is the one of RNNoise 0.2, whose 34 edges give the article's 34 bands.
ERB_EDGES_34 = (
    0, 2, 4, 6, 8, 10, 12, 15, 18, 21, 24, 28, 32, 36, 41, 47, 53,
    60, 68, 77, 87, 98, 110, 124, 140, 157, 176, 198, 223, 251, 282, 317, 356, 400,
)  # fmt: skip

# As the ear, at 0.82 of ERB and at least 50 Hz: past the article, near to bins of their own where the harmonics are.
ERB_EDGES_48 = (
    0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 13, 15, 17, 19, 21, 24, 26, 29, 32, 36, 39, 43,
    48, 53, 58, 64, 70, 77, 85, 93, 102, 112, 123, 135, 148, 162, 177, 194, 213, 233, 255, 279, 305, 334, 366, 400,
)  # fmt: skip

BAND_EDGES = {len(edges): edges for edges in (ERB_EDGES_34, ERB_EDGES_48)}  # by their number

COMB_TAPS = 5  # periods on each side; P20's noise reduction of about 9 dB pins it
PITCH_MIN_HZ = 62.5
PITCH_MAX_HZ = 500.0
PERIOD_MAX_SAMPLES = round(SAMPLE_RATE_HZ / PITCH_MIN_HZ)  # 768
PERIOD_MIN_SAMPLES = round(SAMPLE_RATE_HZ / PITCH_MAX_HZ)  # 96

NOISE_MASKING_TONE = 0.03  # n0 of P20's extra attenuation: the ear hides noise 15 dB below a tone
POSTFILTER_BETA = 0.02  # P20's global compensation; at most 5.57 dB

SHAPED_BINS = 160  # within whose bands noise has a shape, up to 8 kHz: above, voices hiss
BIN_RATIOS = 16  # that the network for bins is given of each
BIN_NEIGHBOURHOOD = 3  # bins whose ratios it is given
BIN_FEATURES = BIN_NEIGHBOURHOOD * BIN_RATIOS

LOOKAHEAD_FRAMES = 2  # article: the network sees two windows, 20 ms, into the future
LOOKAHEAD_FRAMES_MAX = 3

HIGHPASS_HZ = 30.0  # below the lowest voice by an octave
HIGHPASS_MAX_HZ = 100.0

# What the network can be given of a frame, by name; the numbers of each follow from the bands where it says 0.
RELATIVE_BINS = 100  # 0 to 5 kHz, where harmonics lie apart
FEATURE_SIZES = {
    "band_levels": 0,
    "coherences": 0,
    "pitch": 2,
    "relative_band_levels": 0,
    "relative_bin_levels": RELATIVE_BINS,
    "lifted_band_levels": 0,
    # of what is left of an echo, of the echo that was taken away and of the far end: only for networks that suppress it
    "echo_levels": 0,
    "far_levels": 0,
    "echo_coherences": 0,
}
ECHO_FEATURES = ("echo_levels", "far_levels", "echo_coherences")
HEARD_FEATURES = tuple(block for block in FEATURE_SIZES if block not in ECHO_FEATURES)  # what every frame has
PERCEPNET_FEATURES = ("band_levels", "coherences", "pitch")  # P21
TRAINED_FEATURES = ("lifted_band_levels", "coherences", "pitch")  # the same for quiet recordings too


@dataclass(frozen=True)
class SignalParams:
    """What of the signal path is chosen at training time, and therefore stored with the weights.

    Parameters
    ----------
    lookahead_frames : int
        M, the frames of 10 ms that a decision may look into the future; 0 to 3.
        The delay of the whole system is (M + 1) * 480 samples.
    band_edges : tuple of int
        Centres of the triangular bands in bins of 50 Hz, increasing from 0.
    highpass_hz : float
        Corner of the high-pass in front of everything, up to 100 Hz; 0 for none.
    feature_blocks : tuple of str
        What the network is given, in this order: keys of `FEATURE_SIZES`, each at most once.

    Raises
    ------
    ModelError
        If a field is outside what the signal path can do.
    """

    lookahead_frames: int = LOOKAHEAD_FRAMES
    band_edges: tuple[int, ...] = ERB_EDGES_34
    highpass_hz: float = 0.0
    feature_blocks: tuple[str, ...] = PERCEPNET_FEATURES

    def __post_init__(self) -> None:
        if not 0 <= self.lookahead_frames <= LOOKAHEAD_FRAMES_MAX:
            raise ModelError(f"lookahead_frames is {self.lookahead_frames}; it must be 0 to {LOOKAHEAD_FRAMES_MAX}")
        edges = self.band_edges
        increasing = all(low < high for low, high in pairwise(edges))
        if len(edges) < 2 or edges[0] != 0 or edges[-1] >= BINS or not increasing:
            raise ModelError(f"band_edges must increase from 0 to at most {BINS - 1}; found {list(edges)}")
        if not (self.highpass_hz == 0 or 1 <= self.highpass_hz <= HIGHPASS_MAX_HZ):
            raise ModelError(f"highpass_hz is {self.highpass_hz}; it must be 0, or 1 to {HIGHPASS_MAX_HZ:g}")
        blocks = self.feature_blocks
        if unknown := [block for block in blocks if block not in FEATURE_SIZES]:
            raise ModelError(f"features: expected {', '.join(FEATURE_SIZES)}, found {unknown[0]!r}")
        if not blocks or len(set(blocks)) < len(blocks):
            raise ModelError(f"features: expected at least one block and each once, found {list(blocks)}")

    @property
    def bands(self) -> int:
        return len(self.band_edges)

    @property
    def features(self) -> int:
        """Inputs of the network: 70 for 34 bands and the blocks of PercepNet."""
        return sum(FEATURE_SIZES[block] or self.bands for block in self.feature_blocks)

    @property
    def feature_slices(self) -> dict[str, slice]:
        """Where each block stands in the network's input.

        Examples
        --------
        >>> SignalParams().feature_slices["pitch"]
        slice(68, 70, None)
        """
        sizes = [FEATURE_SIZES[block] or self.bands for block in self.feature_blocks]
        ends = list(accumulate(sizes))
        return {
            block: slice(end - size, end) for block, size, end in zip(self.feature_blocks, sizes, ends, strict=True)
        }

    @property
    def latency_samples(self) -> int:
        """Delay of the signal path at 48 kHz: one hop of overlap and M of look-ahead."""
        return (self.lookahead_frames + 1) * HOP_SAMPLES
