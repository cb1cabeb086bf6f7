"""The article's storyline as one HTML page, with sound, pictures and scores inside and no request to elsewhere.

percepnet oracle examples/clips/clean examples/clips/noisy -o story.html
"""

import io
import math
import shlex
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from rich.console import Console
from rich.progress import track

from percepnet.audio import replacing
from percepnet.bench.measure import processor_name, weight_bytes
from percepnet.errors import PercepNetError
from percepnet.evaluation.clips import Clip, make_tracks
from percepnet.evaluation.compare import measurable
from percepnet.evaluation.metrics import TITLES
from percepnet.evaluation.oracle_plot import (
    VOICED,
    bands_figure,
    comb_response_figure,
    decisions_figure,
    pitch_figure,
    spectrograms_figure,
)
from percepnet.evaluation.paced import paced_factors
from percepnet.evaluation.page import MEANINGS, clip_html, data_address, gaps_html, page_html, table_html
from percepnet.evaluation.report import finite_mean, format_score, made_with, to_json
from percepnet.evaluation.story import STEPS, Story, find_story_pairs, read_for_story, tell, voiced_stretch
from percepnet.model import DEFAULT_MODEL, Model, load_model
from percepnet.params import BINS, FRAMES_PER_SECOND, HOP_SAMPLES, SAMPLE_RATE_HZ, WINDOW_SAMPLES
from percepnet.plot import require_matplotlib
from percepnet.reference.oracle import Pitch

if TYPE_CHECKING:
    from matplotlib.figure import Figure

METRICS = ("pesq", "stoi", "si_sdr")
SCORED = ("pesq_wb", "stoi", "si_sdr_db")
PICTURE_DPI = 100
HOP_MS = 1000 * HOP_SAMPLES // SAMPLE_RATE_HZ
WINDOW_MS = 1000 * WINDOW_SAMPLES // SAMPLE_RATE_HZ
PITCH_OF = {
    "clean": "Here it is found in the clean speech, which is the best case.",
    "noisy": "Here it is found in the noisy speech, as a network has to live with it.",
}


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
    stories = []
    for name, (x, y) in track(
        recordings.items(), "Telling", console=console, transient=True, disable=not console.is_terminal
    ):
        stories.append(tell(name, x, y, model=loaded, pitch=pitch, metrics=metrics))
    words = ["percepnet", "oracle", str(clean), str(noisy), "-o", str(output)]
    words += (["--pitch", pitch] if pitch != "clean" else []) + (["--model", model] if model else [])
    core_share = paced_factors(["percepnet"], model)["percepnet"]
    page = story_html(
        stories, loaded, model or DEFAULT_MODEL, pitch=pitch, core_share=core_share, missing=missing, command=words
    )
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise PercepNetError(f"{output.parent}: cannot be created ({error.strerror})") from error
    with replacing(output) as temporary:
        temporary.write_text(page, encoding="utf-8")
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
    if output.exists() and not overwrite:
        raise PercepNetError(f"{output}: exists: give another -o, or --overwrite to replace it")


def story_html(
    stories: Sequence[Story],
    model: Model,
    model_name: str,
    *,
    pitch: Pitch = "clean",
    core_share: float = math.nan,
    missing: dict[str, str] | None = None,
    command: Sequence[str] = (),
) -> str:
    """The page as text.

    Parameters
    ----------
    stories : sequence of Story
        The first is told; the others can be heard.
    model : Model
        What the stories were told with.
    model_name : str
    pitch : "clean" or "noisy"
    core_share : float
        Real-time factor of live use; nan where it was not measured.
    missing : dict, optional
        Measures that could not be taken, with the reasons.
    command : sequence of str, optional
        What made the page.
    """
    clips = _clips(stories)
    legend = "Step that is heard"
    told = clip_html(clips[0], 1, legend=legend, passages=_passages(stories[0], model, pitch))
    others = "".join(clip_html(clip, number, legend=legend) for number, clip in enumerate(clips[1:], 2))
    sections = {
        "story": ("Step by step", f'{_how_to_listen()}<div class="story">{told}</div>'),
        "others": (f"The same on {'another recording' if len(clips) == 2 else 'other recordings'}", others),
        "scores": ("Scores of every step", _scores(stories)),
        "numbers": ("Numbers", _numbers(model, model_name, core_share)),
        "gaps": ("What is missing", gaps_html({"Left out": missing or {}})),
        "made": ("How it was made", _made(command)),
    }
    about = (
        "From noisy speech to enhanced speech, one idea at a time: first with decisions calculated from the clean "
        "speech, which no one has in use, then with those of a trained network, which hears the noisy speech alone."
    )
    return page_html("How little a network has to decide", about, sections)


def _clips(stories: Sequence[Story]) -> list[Clip]:
    titled = [
        ({STEPS[s]: x for s, x in story.sounds.items()}, {STEPS[s]: x for s, x in story.scores.items()})
        for story in stories
    ]
    return [
        Clip(story.name, "", "", math.nan, None, "", len(story.sounds["noisy"]) / SAMPLE_RATE_HZ, tracks)
        for story, tracks in zip(stories, make_tracks(titled), strict=True)
    ]


def _how_to_listen() -> str:
    return (
        '<p>All steps play at once, and one of them is heard: change it in the middle of a word.</p><p class="soft">'
        "<kbd>Space</kbd> or <kbd>K</kbd> play and pause, <kbd>1</kbd> to <kbd>8</kbd> or the arrow keys switch the "
        "step, <kbd>J</kbd> and <kbd>L</kbd> go back and on by a second, <kbd>N</kbd> and <kbd>P</kbd> go to the next "
        "and the previous recording. A click into a spectrogram switches to it, there.</p>"
    )


def _passages(story: Story, model: Model, pitch: Pitch) -> list[str]:
    """HTML that stands before the track of each step."""
    params, oracle = model.params, story.oracle
    bands, lookahead_ms = params.bands, params.lookahead_frames * HOP_MS
    delay_ms = 1000 * params.latency_samples // SAMPLE_RATE_HZ
    voiced_share = float(np.mean(oracle.correlations > VOICED))
    stretch = voiced_stretch(oracle.correlations)
    close_up = {STEPS[step]: story.sounds[step][stretch] for step in ("clean", "bands", "comb")}
    comb = (
        (
            spectrograms_figure(close_up, columns=3),
            "Where this recording is most voiced, seen closely, low frequencies spread out as in the ear. The stripes "
            "are the harmonics; what the band gains leave between them, the comb filter takes away.",
        ),
        (
            pitch_figure(oracle.periods_samples, oracle.correlations),
            "The pitch of the voice, a point every 10 ms. Bright points are periodic: vowels. Dark ones are pauses and "
            "hissing consonants, whose pitch means nothing.",
        ),
        (
            decisions_figure({"comb filter strengths of the oracle": oracle.strengths}, params),
            "How much of each band comes from the comb filter: all of it (1) where the noisy speech is much less "
            "periodic than the clean, none (0) where it is as periodic already. Where the clean speech is silent, the "
            "strengths mean little.",
        ),
        (
            comb_response_figure(oracle.periods_samples, oracle.correlations, params),
            "What the comb filter passes at the median pitch of this voice: the harmonics, and little between them.",
        ),
    )
    found = _agreement(story)
    texts = {
        "noisy": (
            "1. Noisy speech, and the clean speech in it",
            f"The recording is cut into windows of {WINDOW_MS} ms, a new one every {HOP_MS} ms, and each becomes a "
            f"spectrum of {BINS} bins, 50 Hz apart. In the picture time goes to the right, frequency goes up, and "
            "bright is loud. What comes and goes is the voice; what is there all the time, or over it, is noise.",
            (),
        ),
        "clean": (
            "",
            "This is the goal. Because it is known here, what would be the best decision can be calculated. "
            "Whatever makes such decisions is called an oracle, and it shows what a way of enhancing can give at best.",
            (),
        ),
        "bins": (
            f"2. From {BINS} bins to {bands} bands",
            f"An obvious way: give each of the {BINS} bins the magnitude that it has in the clean speech, "
            f"{BINS * FRAMES_PER_SECOND:,} decisions a second. The phase stays that of the noisy speech, and where "
            "there was noise it jumps from frame to frame: some roughness remains, even with perfect decisions.",
            (),
        ),
        "bands": (
            "",
            f"The ear does not hear single bins, and the envelope of speech is smooth. So {bands} bands will do, "
            "narrow at low frequencies and wide at high ones as those of the ear: one gain between 0 and 1 for each. "
            "But a band is wider than the distance of two harmonics. Its gain turns both down together, or "
            "neither: the noise between the harmonics stays, and the voice sounds hoarse.",
            (
                (
                    bands_figure(params),
                    "The bands. Each bin belongs to two of them, more to the one whose centre is nearer.",
                ),
                (
                    decisions_figure({"gains of the oracle": oracle.gains}, params),
                    "The gains: the level that a band has in the clean speech over that in the noisy speech.",
                ),
            ),
        ),
        "comb": (
            "3. A comb filter tuned to the voice",
            "A vowel repeats itself, the noise does not. The comb filter adds to each moment of the recording what was "
            "there some periods of the voice before and, as far as the delay allows, after it: the harmonics add up, "
            "and what lies between them cancels. Real voices are part tone, part breath, and the parts differ "
            "by frequency. Therefore each band takes its own share from the filter, its strength, just as "
            "much as makes it as periodic as the clean speech is. "
            f"The filter needs the pitch. {PITCH_OF[pitch]} {100 * voiced_share:.0f} % of the frames of this "
            "recording are voiced.",
            comb,
        ),
        "postfilter": (
            "4. A post-filter that deceives the ear",
            "What is still noisy is turned down a little more than it should be. That falsifies the envelope, which "
            "the ear forgives, and takes away noise, which it notices. With perfect gains there is little left to "
            "gain, and the scores may sink.",
            (),
        ),
        "network": (
            "5. The trained network decides",
            f"In use there is no clean speech. A recurrent network of {model.weight_count / 1e6:.1f} million weights "
            f"looks at {params.features} numbers of each frame and decides what the oracle decided, {bands} gains and "
            f"{bands} strengths. It looks {lookahead_ms} ms ahead; with the overlap of the windows that makes "
            f"{delay_ms} ms of delay. {found} All else is as in step 3, so what is worse than there is worse by what "
            "the network does not know.",
            (
                (
                    decisions_figure(
                        {"gains of the network": story.gains, "strengths of the network": story.strengths}, params
                    ),
                    "What the network decided, to be compared with the pictures of the oracle above.",
                ),
            ),
        ),
        "network_postfilter": (
            "",
            "With the post-filter on top there is less noise to be heard, and the speech is a little less clear. "
            "It is off unless it is asked for.",
            (),
        ),
    }
    passages = []
    for number, step in enumerate(story.sounds):
        title, text, figures = texts[step]
        heading = f"<h3>{escape(title)}</h3>" if title else ""
        drawn = "".join(_figure(figure, caption) for figure, caption in figures)
        hear = f'<button type="button" class="hear" data-track="{number}">Hear: {escape(STEPS[step])}</button>'
        passages.append(f'<div class="passage" id="step-{step}">{heading}<p>{escape(text)}</p>{drawn}{hear}</div>')
    return passages


def _agreement(story: Story) -> str:
    """How far the network is from the oracle where there is speech to decide about."""
    far = [
        float(np.mean(np.abs(mine[: len(best)] - best[: len(mine)])))
        for mine, best in ((story.gains, story.oracle.gains), (story.strengths, story.oracle.strengths))
    ]
    return f"Here its gains are {far[0]:.2f} from the oracle's on average, and its strengths {far[1]:.2f}."


def _figure(figure: "Figure", caption: str) -> str:
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=PICTURE_DPI)
    address, text = data_address("image/png", file.getvalue()), escape(caption)
    return f'<figure><img alt="{text}" src="{address}"><figcaption>{text}</figcaption></figure>'


def _scores(stories: Sequence[Story]) -> str:
    measures = [m for m in SCORED if any(m in scores for story in stories for scores in story.scores.values())]
    if not measures:
        return ""
    rows = [
        (
            title,
            [
                format_score(m, finite_mean([story.scores[step].get(m, math.nan) for story in stories]))
                for m in measures
            ],
        )
        for step, title in STEPS.items()
        if step != "clean"
    ]
    caption = "Against the clean speech; higher is better" + ("; means of all recordings" * (len(stories) > 1))
    meanings = "".join(
        f"<dt>{escape(term)}</dt><dd>{escape(text)}</dd>"
        for term, text in MEANINGS.items()
        if term.startswith(("PESQ", "STOI", "SI-SDR"))
    )
    table = table_html(caption, ["step", *(TITLES[m] for m in measures)], rows)
    return f'{table}<dl class="glossary">{meanings}</dl>'


def _numbers(model: Model, model_name: str, core_share: float) -> str:
    params = model.params
    decisions = 2 * params.bands
    rows = [
        (
            "to decide, each frame",
            f"{params.bands} gains and {params.bands} strengths, instead of {BINS} magnitudes or more",
        ),
        (
            "to decide, each second",
            f"{decisions * FRAMES_PER_SECOND:,}, instead of {BINS * FRAMES_PER_SECOND:,}",
        ),
        ("a new frame", f"every {HOP_MS} ms, from a window of {WINDOW_MS} ms"),
        (
            "delay",
            f"{1000 * params.latency_samples / SAMPLE_RATE_HZ:g} ms: {HOP_MS} of overlap and "
            f"{params.lookahead_frames * HOP_MS} of look-ahead",
        ),
        ("weights", f"{model.weight_count:,} (model {model_name}), {weight_bytes(model) / 1e6:.2f} MB in 8 bits"),
        ("multiplications by weights, each second", f"{model.weight_count * FRAMES_PER_SECOND / 1e6:,.0f} million"),
    ]
    if math.isfinite(core_share):
        share = (
            f"{100 * core_share:.1f} % of one core of this machine ({processor_name()}), one frame every {HOP_MS} ms"
        )
        rows.append(("live, in a call", share))
    return table_html("What it takes", ["quantity", "value"], [(name, [escape(text)]) for name, text in rows])


def _made(command: Sequence[str]) -> str:
    versions = ", ".join(f"{name} {number}" for name, number in made_with(("percepnet", "pesq", "pystoi")).items())
    return f"{f'<pre>{escape(shlex.join(command))}</pre>' if command else ''}<p class='soft'>{escape(versions)}</p>"
