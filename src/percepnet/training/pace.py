"""Reproducible trainings: which shards are drawn from at which update.

Otherwise a trainer draws from whatever shards are there, and those depend on how fast the processes that make them are.
Here the newest shard follows from the number of updates; the trainer waits where it is late, and its makers wait where
they are ahead.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Pace:
    """How fast shards are replaced.

    Parameters
    ----------
    shards_per_update : float
    first : int
        Shards to begin with.
    ring : int
        Shards that are drawn from at most.
    """

    shards_per_update: float
    first: int
    ring: int

    def window(self, updates: int) -> range:
        """Numbers of the shards that are drawn from after so many updates.

        Examples
        --------
        >>> pace = Pace(0.5, first=2, ring=4)
        >>> [pace.window(updates) for updates in (0, 1, 2, 8)]
        [range(0, 2), range(0, 2), range(0, 3), range(2, 6)]
        """
        end = self.first + int(updates * self.shards_per_update)
        return range(max(0, end - self.ring), end)
