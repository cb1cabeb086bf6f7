"""The run of `percepnet oracle` that makes a page: the article's storyline, with sound, pictures and scores inside.

percepnet oracle examples/clips/clean examples/clips/noisy -o story.html
"""

from pathlib import Path

from rich.console import Console

from percepnet.atomic import refuse_existing, replacing
from percepnet.errors import PercepNetError
from percepnet.evaluation.numbers import to_json
from percepnet.evaluation.paced import paced_factors
from percepnet.evaluation.render.story import story_html
from percepnet.evaluation.story import find_story_pairs, read_for_story, tell
from percepnet.metrics.score import measurable
from percepnet.model import DEFAULT_MODEL, load_model
from percepnet.plot import require_matplotlib
from percepnet.progress import followed
from percepnet.reference.oracle import Pitch
from percepnet.systems.register import Register
from percepnet.systems.system import OWN_SYSTEM

METRICS = ("pesq", "stoi", "si_sdr")


def run_story(
    clean: Path,
    noisy: Path,
    output: Path,
    *,
    model: str | None = None,
    pitch: Pitch = "clean",
    as_json: bool = False,
    overwrite: bool = False,
) -> None:
    """The command ``percepnet oracle`` with a page as its output.

    Parameters
    ----------
    clean, noisy : path
        Two mono recordings of equal rate and length, or two folders with at most eight under the same names.
    output : path
        The page; appears only when it is complete.
    model : str, optional
        Name or path.
    pitch : "clean" or "noisy"
        The signal in which the oracle finds the pitch.
    as_json : bool
        Print the scores as JSON.
    overwrite : bool
        Replace a page that exists.

    Raises
    ------
    PercepNetError
        If a recording or the model cannot be used, a package is missing, or the page exists or cannot be written.
    """
    require_matplotlib()
    _refuse_loss(output, overwrite=overwrite)
    loaded = load_model(model)
    pairs = find_story_pairs(clean, noisy)
    recordings = {name: read_for_story(*files) for name, files in pairs.items()}  # before anything takes long
    metrics, missing = measurable(METRICS)
    console = Console(stderr=True)
    stories = [
        tell(name, x, y, model=loaded, pitch=pitch, metrics=metrics)
        for name, (x, y) in followed(recordings.items(), len(recordings), "taking every step")
    ]
    words = ["percepnet", "oracle", str(clean), str(noisy), "-o", str(output)]
    words += (["--pitch", pitch] if pitch != "clean" else []) + (["--model", model] if model else [])
    core_share = paced_factors([OWN_SYSTEM], Register(model))[OWN_SYSTEM]
    page = story_html(
        stories, loaded, model or DEFAULT_MODEL, pitch=pitch, core_share=core_share, missing=missing, command=words
    )
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise PercepNetError(f"{output.parent}: cannot be created ({error.strerror})") from error
    with replacing(output) as temporary:
        temporary.write_text(page, encoding="utf-8", errors="replace")  # names need not be UTF-8
    if as_json:
        scores = {story.name: story.scores for story in stories}
        print(to_json({"pitch": pitch, "scores": scores, "skipped": missing, "files": [str(output)]}))
        return
    for name, reason in missing.items():
        console.print(f"{name}: {reason}", style="yellow", markup=False, highlight=False, soft_wrap=True)
    print(f"{output}: {len(stories)} recording{'s' * (len(stories) != 1)}, {len(page) / 1e6:.1f} MB")


def _refuse_loss(output: Path, *, overwrite: bool) -> None:
    if output.exists() and not output.is_file():
        raise PercepNetError(f"{output}: exists and is not a file: give another -o")
    refuse_existing([output], overwrite=overwrite)
