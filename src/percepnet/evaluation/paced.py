"""What systems cost in a call: one frame of 10 ms every 10 ms, as `percepnet bench` measures it, but briefly."""

from collections.abc import Callable, Iterable
from functools import partial

from percepnet.bench.measure import FRAME_US, System, take_turns
from percepnet.bench.peers import PeerMissing, start_peer
from percepnet.model import load_model
from percepnet.params import FRAMES_PER_SECOND, SAMPLE_RATE_HZ
from percepnet.stream import Enhancer

SECONDS = 2.0


def _percepnet(model: str | None, *, comb_filter: bool = True, post_filter: bool = False) -> System:
    loaded = load_model(model)
    enhancer = Enhancer(SAMPLE_RATE_HZ, model=loaded, comb_filter=comb_filter, post_filter=post_filter)
    return System("percepnet", enhancer.process)


# Those that take 10 ms at a time in this process, by their names in `percepnet.evaluation.peers.PEERS`.
LIVE: dict[str, Callable[[str | None], System]] = {
    "percepnet": _percepnet,
    "percepnet-without-comb-filter": partial(_percepnet, comb_filter=False),
    "percepnet-with-post-filter": partial(_percepnet, post_filter=True),
    "rnnoise": lambda _model: start_peer("rnnoise"),
}


def paced_factors(names: Iterable[str], model: str | None = None, *, seconds: float = SECONDS) -> dict[str, float]:
    """Real-time factors of live use, of the systems that can be used so.

    Parameters
    ----------
    names : iterable of str
        Of systems; those that are not in ``LIVE`` have no place in the result.
    model : str, optional
        Name or path of percepnet's model.
    seconds : float
        Of audio for each system, in real time; they take turns of a second.

    Returns
    -------
    dict of str to float
        Name to seconds of one processor for a second of sound, the mean over all frames.

    Raises
    ------
    ModelError
        If the model cannot be loaded.
    """
    systems = []
    for name in names:
        try:
            systems += [LIVE[name](model)._replace(name=name)] if name in LIVE else []
        except PeerMissing:  # it is scored over its other interface, or left out with a word
            continue
    times = take_turns(systems, max(1, round(seconds * FRAMES_PER_SECOND)), paced=True)
    return {name: float(frames.cpu_us.mean()) / FRAME_US for name, frames in times.items()}
