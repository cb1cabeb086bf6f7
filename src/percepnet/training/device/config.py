"""Settings of mixtures that are made on the device; what `MixingConfig` says of them holds here too."""

from dataclasses import dataclass


@dataclass(frozen=True)
class SourceConfig:
    """Where what the network is trained on comes from.

    Parameters
    ----------
    device : bool
        Make mixtures and their features on the device that trains, new ones for every update, instead of by processes
        that write shards.
    segment_seconds : float
        Of every sequence that are made at a time. A sequence is one segment, or goes on for many.
    long_share : float
        Of new sequences that go on for many segments: one voice after another in the same lasting noise.
    long_min_segments, long_max_segments : int
    noise_alone_share : float
        Of long sequences that begin with noise alone, for any number of their segments.
    dc_share, dc_max : float
        Mixtures with an offset, and its largest size.
    hum_share, hum_min_db, hum_max_db : float
        Mixtures with mains hum beside whatever noise there is, and its level relative to speech.
    bank_noises, bank_rooms : int
        Of each kind of synthetic noise, and of simulated rooms, that are made when a training begins.
    lanes_at_once : int
        Sequences that are analysed together: more need more memory. 0 chooses by the device.
    kept : int
        Segments that are made, kept on disk and then drawn again and again; 0 makes new ones for every batch.
    compile : bool
        Compile the network with torch.compile, where that works.
    """

    device: bool = False
    segment_seconds: float = 10.0
    long_share: float = 0.04
    long_min_segments: int = 4
    long_max_segments: int = 30
    noise_alone_share: float = 0.6
    dc_share: float = 0.05
    dc_max: float = 0.05
    hum_share: float = 0.08
    hum_min_db: float = -45.0
    hum_max_db: float = -12.0
    bank_noises: int = 40
    bank_rooms: int = 400
    lanes_at_once: int = 0
    kept: int = 0
    compile: bool = False
