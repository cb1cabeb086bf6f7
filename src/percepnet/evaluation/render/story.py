"""The article's storyline as one HTML page: what is put into its template."""

import io
import math
import shlex
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from percepnet.bench.measure import processor_name, weight_bytes
from percepnet.evaluation.clips import Clip, make_tracks
from percepnet.evaluation.numbers import finite_mean, format_score, made_with
from percepnet.evaluation.oracle_plot import (
    VOICED,
    bands_figure,
    comb_response_figure,
    decisions_figure,
    pitch_figure,
    spectrograms_figure,
)
from percepnet.evaluation.render.environment import data_address, render
from percepnet.evaluation.render.report import MEANINGS, clip_view
from percepnet.evaluation.story import STEPS, Story, voiced_stretch
from percepnet.metrics.score import TITLES
from percepnet.model import Model
from percepnet.params import BINS, FRAMES_PER_SECOND, HOP_SAMPLES, SAMPLE_RATE_HZ, WINDOW_SAMPLES
from percepnet.reference.oracle import Pitch

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SCORED = ("pesq_wb", "stoi", "si_sdr_db")
EXPLAINED = ("PESQ", "STOI", "SI-SDR")  # beginnings of terms
PICTURE_DPI = 100
HOP_MS = 1000 * HOP_SAMPLES // SAMPLE_RATE_HZ
WINDOW_MS = 1000 * WINDOW_SAMPLES // SAMPLE_RATE_HZ


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
        Metrics that could not be taken, with the reasons.
    command : sequence of str, optional
        What made the page.
    """
    told, params = stories[0], model.params
    far_gains, far_strengths = (
        float(np.mean(np.abs(mine[: len(best)] - best[: len(mine)])))
        for mine, best in ((told.gains, told.oracle.gains), (told.strengths, told.oracle.strengths))
    )
    return render(
        "story.html",
        steps=STEPS,
        clips=[clip_view(clip) for clip in _clips(stories)],
        figures={name: _address(figure) for name, figure in _figures(told, model).items()},
        pitch=pitch,
        voiced_percent=f"{100 * float(np.mean(told.oracle.correlations > VOICED)):.0f}",
        far_gains=far_gains,
        far_strengths=far_strengths,
        bins=BINS,
        bands=params.bands,
        features=params.features,
        frames_per_second=FRAMES_PER_SECOND,
        hop_ms=HOP_MS,
        window_ms=WINDOW_MS,
        lookahead_ms=params.lookahead_frames * HOP_MS,
        delay_ms=1000 * params.latency_samples // SAMPLE_RATE_HZ,
        million_weights=model.weight_count / 1e6,
        scores=_scores(stories),
        meanings={term: text for term, text in MEANINGS.items() if term.startswith(EXPLAINED)},
        quantities=_quantities(model, model_name, core_share),
        missing=missing or {},
        command=shlex.join(command),
        versions=", ".join(f"{name} {number}" for name, number in made_with(("percepnet", "pesq", "pystoi")).items()),
    )


def _clips(stories: Sequence[Story]) -> list[Clip]:
    titled = [
        ({STEPS[s]: x for s, x in story.sounds.items()}, {STEPS[s]: x for s, x in story.scores.items()})
        for story in stories
    ]
    return [
        Clip(story.name, "", "", math.nan, None, "", len(story.sounds["noisy"]) / SAMPLE_RATE_HZ, tracks)
        for story, tracks in zip(stories, make_tracks(titled), strict=True)
    ]


def _figures(story: Story, model: Model) -> dict[str, "Figure"]:
    params, oracle = model.params, story.oracle
    stretch = voiced_stretch(oracle.correlations)
    close_up = {STEPS[step]: story.sounds[step][stretch] for step in ("clean", "bands", "comb")}
    decided = {"gains of the network": story.gains, "strengths of the network": story.strengths}
    return {
        "bands": bands_figure(params),
        "gains": decisions_figure({"gains of the oracle": oracle.gains}, params),
        "close_up": spectrograms_figure(close_up, columns=3),
        "pitch": pitch_figure(oracle.periods_samples, oracle.correlations),
        "strengths": decisions_figure({"comb filter strengths of the oracle": oracle.strengths}, params),
        "comb_response": comb_response_figure(oracle.periods_samples, oracle.correlations, params),
        "network": decisions_figure(decided, params),
    }


def _address(figure: "Figure") -> str:
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=PICTURE_DPI)
    return data_address("image/png", file.getvalue())


def _scores(stories: Sequence[Story]) -> dict[str, Any]:
    measures = [m for m in SCORED if any(m in scores for story in stories for scores in story.scores.values())]
    rows = [
        (
            title,
            [
                format_score(m, finite_mean([story.scores[step].get(m, math.nan) for story in stories]))
                for m in measures
            ],
        )
        for step, title in STEPS.items()
        if step != "clean" and measures
    ]
    caption = "Against the clean speech; higher is better" + ("; means of all recordings" * (len(stories) > 1))
    return {"caption": caption, "header": ["step", *(TITLES[m] for m in measures)], "rows": rows}


def _quantities(model: Model, model_name: str, core_share: float) -> list[tuple[str, list[str]]]:
    params = model.params
    decisions = 2 * params.bands
    rows = {
        "to decide, each frame": f"{params.bands} gains and {params.bands} strengths, instead of {BINS} magnitudes "
        "or more",
        "to decide, each second": f"{decisions * FRAMES_PER_SECOND:,}, instead of {BINS * FRAMES_PER_SECOND:,}",
        "a new frame": f"every {HOP_MS} ms, from a window of {WINDOW_MS} ms",
        "delay": f"{1000 * params.latency_samples / SAMPLE_RATE_HZ:g} ms: {HOP_MS} of overlap and "
        f"{params.lookahead_frames * HOP_MS} of look-ahead",
        "weights": f"{model.weight_count:,} (model {model_name}), {weight_bytes(model) / 1e6:.2f} MB in 8 bits",
        "multiplications by weights, each second": f"{model.weight_count * FRAMES_PER_SECOND / 1e6:,.0f} million",
    }
    if math.isfinite(core_share):
        share = f"{100 * core_share:.1f} % of one core of this machine ({processor_name()})"
        rows["live, in a call"] = f"{share}, one frame every {HOP_MS} ms"
    return [(name, [text]) for name, text in rows.items()]
