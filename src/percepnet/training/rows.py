"""What stands in a row of a shard: the one table that makers of features and the training go by."""

from dataclasses import dataclass, replace

from percepnet.params import SignalParams

UNKNOWN = -1.0  # in place of a gain that nobody knows
LEVELS = "band_levels"  # what the loss weighs bands by, whatever the network is given
LIFTED = "lifted_band_levels"


@dataclass(frozen=True)
class RowLayout:
    """Columns of the rows of shards, one row a frame.

    Parameters
    ----------
    params : SignalParams
        Of the network that is trained.
    """

    params: SignalParams

    @property
    def analysed(self) -> SignalParams:
        """What the signal path has to find: the network's features, and the levels if they are not among them."""
        blocks = self.params.feature_blocks
        return self.params if LEVELS in blocks else replace(self.params, feature_blocks=(*blocks, LEVELS))

    @property
    def features(self) -> slice:
        """What the network is given."""
        return slice(0, self.params.features)

    @property
    def levels(self) -> slice:
        """Levels of the bands of the newest frame, as in the block `band_levels`."""
        return self.analysed.feature_slices[LEVELS]

    @property
    def gains(self) -> slice:
        """Gains wanted, -1 where they are not known."""
        return self._behind(0)

    @property
    def strengths(self) -> slice:
        """Strengths wanted."""
        return self._behind(1)

    @property
    def speech(self) -> slice:
        """Whether the frame is speech, 0 or 1."""
        start = self._behind(2).start
        return slice(start, start + 1)

    @property
    def count(self) -> int:
        """Numbers of a row."""
        return int(self.speech.stop)

    @property
    def taught(self) -> slice:
        """Gains that teachers decide for; behind all others, in the shards of a run that has teachers."""
        return slice(self.count, self.count + self.params.bands)

    def _behind(self, place: int) -> slice:
        start = self.analysed.features + place * self.params.bands
        return slice(start, start + self.params.bands)
