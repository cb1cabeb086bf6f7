"""The report as one HTML page: tables, plots and sound, with all that it needs inside and no request to elsewhere."""

from __future__ import annotations

import base64
import math
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from importlib.resources import files
from pathlib import Path

from percepnet.audio import replacing
from percepnet.evaluation.clips import SECONDS_MAX, Clip, Track, make_clips
from percepnet.evaluation.compare import OWN_SYSTEM, REFERENCE_SYSTEM, Comparison, Group
from percepnet.evaluation.cost_plot import Point, cost_plot
from percepnet.evaluation.metrics import TITLES
from percepnet.evaluation.report import finite_mean, format_score, made_with
from percepnet.plot import require_matplotlib

# Nothing is fetched, whatever the page holds: a name of a recording cannot change that either.
POLICY = "default-src 'none'; img-src data:; media-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'"
PLOTTED = ("pesq_wb", "dnsmos_ovrl", "si_sdr_db", "srmr")
BROKEN_DOWN = ("pesq_wb", "stoi", "si_sdr_db", "dnsmos_ovrl", "srmr")
OF_A_TRACK = ("pesq_wb", "stoi", "dnsmos_ovrl", "si_sdr_db")
FREE_OF_REFERENCE = ("dnsmos", "srmr")  # beginnings of names
COLOURED_FROM = 6  # recordings: of fewer, one accident makes an interval
MEANINGS = {
    "PESQ-WB, -NB": "quality against the clean speech, wide and narrow band: 1 is bad, 4.6 is the clean speech itself",
    "STOI, ESTOI": "intelligibility against the clean speech, 0 to 1",
    "SI-SDR": "power of the speech over that of all that was added to or taken from it",
    "CSIG, CBAK, COVL": "opinions of speech, background and whole, 1 to 5, predicted from the clean speech",
    "DNSMOS": "opinions of speech, background and whole, 1 to 5, predicted without the clean speech",
    "SRMR": "slow over fast modulation: the higher, the less reverberation",
    "real-time factor": "time of one processor for a second of sound, one file after the other; paced: one frame "
    "of 10 ms every 10 ms, as in a call, over 2 s",
    "delay": "by which the system is late, found by correlation, and taken off before anything is compared",
}


def require_page_packages() -> None:
    """Raise PercepNetError, saying what to install, if a package is missing that a page needs."""
    require_matplotlib()


def write_page(path: Path, comparison: Comparison, *, clips: int = 8) -> None:
    """Write a report that opens in any browser, from a disk too.

    Parameters
    ----------
    path : path
        Appears only when it is complete.
    comparison : Comparison
    clips : int
        How many recordings can be heard, half of them the worst; 0 for none.

    Raises
    ------
    PercepNetError
        Without matplotlib, or if the file cannot be written.
    """
    page = to_html(comparison, make_clips(comparison, clips))
    with replacing(path) as temporary:
        temporary.write_text(page, encoding="utf-8")


def to_html(comparison: Comparison, clips: Sequence[Clip]) -> str:
    """The page as text."""
    gaps = {"Not scored": comparison.failures, "Left out": comparison.skipped, "Notes": comparison.notes}
    sections = {
        "results": ("Results", _results(comparison)),
        "cost": ("Quality against computing time", _plots(comparison)),
        "snr": ("By signal-to-noise ratio", _by_snr(comparison)),
        "room": ("By room", _broken_down(comparison, comparison.rooms, "room")),
        "noise": ("By noise", _by_noise(comparison)),
        "listen": ("Listen", _listen(clips)),
        "gaps": ("What is missing", gaps_html(gaps)),
        "made": ("How it was made", _made(comparison)),
    }
    count = len(comparison.names)
    about = f"{count} recording{'s' * (count != 1)}, {len(comparison.systems)} systems"
    return page_html(f"Evaluation of {comparison.pairs}", about, sections, comparison.made_of)


def page_html(title: str, about: str, sections: dict[str, tuple[str, str]], made_of: str = "") -> str:
    """A page of sections.

    Parameters
    ----------
    title, about, made_of : str
        Plain text.
    sections : dict
        Identity to title, which is plain text, and content, which is HTML; those without content are left out.
    """
    there = {key: entry for key, entry in sections.items() if entry[1]}
    links = "".join(f'<li><a href="#{key}">{escape(name)}</a></li>' for key, (name, _) in there.items())
    body = "".join(f'<section id="{k}"><h2>{escape(name)}</h2>{text}</section>' for k, (name, text) in there.items())
    folder = files("percepnet.evaluation")
    style, script = ((folder / name).read_text(encoding="utf-8") for name in ("page.css", "page.js"))
    made = f'<p class="soft">{escape(made_of)}.</p>' if made_of else ""
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<title>{escape(title)}</title><link rel="icon" href="data:,">'
        f"<style>{style}</style></head><body>"
        f"<header><h1>{escape(title)}</h1><p>{escape(about)}</p>{made}</header>"
        f'<nav aria-label="Sections"><ul>{links}</ul></nav><main>{body}</main>'
        f"<script>{script}</script></body></html>\n"
    )


def gaps_html(kinds: dict[str, dict[str, str]]) -> str:
    """Lists of what is missing and why; empty where nothing is."""
    parts = []
    for title, reasons in kinds.items():
        if reasons:
            lines = "".join(f"<li><code>{escape(name)}</code>: {escape(text)}</li>" for name, text in reasons.items())
            parts.append(f"<h3>{title}</h3><ul>{lines}</ul>")
    return "".join(parts)


def _row_class(system: str) -> str:
    return ' class="own"' if system == OWN_SYSTEM else ""


def table_html(caption: str, header: Sequence[str], rows: Iterable[tuple[str, Sequence[str]]]) -> str:
    """A table whose rows begin with a system; the cells are HTML."""
    head = "".join(f'<th scope="col">{escape(title)}</th>' for title in header)
    body = "".join(
        f'<tr{_row_class(system)}><th scope="row">{escape(system)}</th>{"".join(f"<td>{c}</td>" for c in cells)}</tr>'
        for system, cells in rows
    )
    return (
        f'<div class="scroll" role="region" tabindex="0" aria-label="{escape(caption)}"><table>'
        f"<caption>{escape(caption)}</caption><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _results(comparison: Comparison) -> str:
    tables = []
    for caption, free in (("Against the clean speech", False), ("Without it, and what the systems cost", True)):
        measures = [m for m in comparison.measures if m.startswith(FREE_OF_REFERENCE) == free]
        header = ["system", *(TITLES[m] for m in measures), *(comparison.costs.values() if free else [])]
        rows = [
            (system, [*(_cell(comparison, system, m) for m in measures), *(_costs(comparison, system) if free else [])])
            for system in comparison.systems
        ]
        tables += [table_html(caption, header, rows)] if len(header) > 1 else []
    note = "Means; below each its difference to the noisy recordings, and the 95 % bootstrap interval of that. "
    note += "Higher is better in all but the real-time factor and the delay. "
    if len(comparison.names) < COLOURED_FROM:
        note += f"Intervals of fewer than {COLOURED_FROM} recordings say little: take them for the span that they are."
    else:
        note += '<span class="good">Green</span> and <span class="bad">red</span>: the interval leaves zero out.'
    return f'<p class="soft">{note}</p>{"".join(tables)}'


def _cell(comparison: Comparison, system: str, measure: str) -> str:
    result = comparison.difference(system, measure)
    mean = format_score(measure, result.mean)
    if system == REFERENCE_SYSTEM or not math.isfinite(result.mean):
        return mean
    difference, low, high = (format_score(measure, x, sign=True) for x in (result.difference, result.low, result.high))
    sure = ""
    if len(comparison.names) >= COLOURED_FROM:
        sure = ' class="good"' if result.low > 0 else ' class="bad"' if result.high < 0 else ""
    return f"{mean}<small><span{sure}>{difference}</span><br>{low} to {high}</small>"


def _costs(comparison: Comparison, system: str) -> list[str]:
    return [comparison.cost_text(system, name) for name in comparison.costs]


def _plots(comparison: Comparison) -> str:
    drawn = []
    for measure in [name for name in PLOTTED if name in comparison.measures][:2]:
        points = []
        for system in comparison.systems:
            if system == REFERENCE_SYSTEM:
                continue
            result = comparison.difference(system, measure)
            baseline = result.mean - result.difference
            factor = comparison.cost(system, "rtf")
            points.append(Point(system, factor, result.mean, baseline + result.low, baseline + result.high))
        noisy = finite_mean(comparison.values(REFERENCE_SYSTEM, measure))
        if svg := cost_plot(points, TITLES[measure], noisy):
            drawn.append(f"<figure>{svg}</figure>")
    note = "Mean scores over the time that one processor takes; bars are the intervals of the difference to noisy."
    return f'<p class="soft">{note}</p><div class="plots">{"".join(drawn)}</div>' if drawn else ""


def _by_snr(comparison: Comparison) -> str:
    groups = {f"{snr_db:g} dB": Group(snr_db) for snr_db in comparison.snrs_db}
    return _broken_down(comparison, groups, "signal-to-noise ratio")


def _by_noise(comparison: Comparison) -> str:
    if len(comparison.noises) < 2:
        return ""
    return _broken_down(comparison, {noise: Group(noise=noise) for noise in comparison.noises}, "noise")


def _broken_down(comparison: Comparison, groups: Mapping[str, Group], by: str) -> str:
    """A table of each measure, systems by groups."""
    if not groups:
        return ""
    parts: list[str] = []
    for measure in [name for name in BROKEN_DOWN if name in comparison.measures]:
        rows = []
        for system in comparison.systems:
            values = [finite_mean(comparison.values(system, measure, group)) for group in groups.values()]
            rows.append((system, [format_score(measure, value) for value in values]))
        table = table_html(f"{TITLES[measure]} by {by}, means", ["system", *groups], rows)
        parts.append(f"<details{' open' * (not parts)}><summary>{TITLES[measure]}</summary>{table}</details>")
    return "".join(parts)


def _listen(clips: Sequence[Clip]) -> str:
    if not clips:
        return ""
    keys = (
        "<kbd>Space</kbd> or <kbd>K</kbd> play and pause, <kbd>1</kbd> to <kbd>9</kbd> or the arrow keys switch the "
        "system, <kbd>J</kbd> and <kbd>L</kbd> go back and on by a second, <kbd>N</kbd> and <kbd>P</kbd> go to the "
        "next and the previous recording. A click into a spectrogram switches to it, there."
    )
    return (
        f"<p>Play a recording, and switch between the systems while it plays.</p><p class='soft'>{keys}</p>"
        + "".join(clip_html(clip, number) for number, clip in enumerate(clips, 1))
    )


def clip_html(clip: Clip, number: int, *, legend: str = "System that is heard", passages: Sequence[str] = ()) -> str:
    """A recording to listen to: one player, and its tracks in step.

    Parameters
    ----------
    clip : Clip
    number : int
        Of the recording in its page.
    legend : str
        What is chosen between.
    passages : sequence of str
        HTML before the first track, the second, and so on, as far as there is any.
    """
    facts = [f"{clip.snr_db:g} dB"] if clip.snr_db is not None else []
    facts += [clip.noise] if clip.noise else []
    if math.isfinite(clip.gain):
        facts.append(f"{TITLES[clip.measure]} {format_score(clip.measure, clip.gain, sign=True)} over noisy")
    if clip.duration_s >= SECONDS_MAX:
        facts.append(f"the first {SECONDS_MAX:g} s")
    colour = {"worst": "bad", "best": "good"}.get(clip.rank, "soft")
    rank = f'<span class="rank {colour}">{clip.rank}</span>' if clip.rank else ""
    name = escape(clip.name)
    between = [*passages, *[""] * len(clip.tracks)]
    tracks = "".join(between[i] + _track(clip, track, number, i) for i, track in enumerate(clip.tracks))
    return (
        f'<article class="clip" id="clip-{number}" data-clip="{name}" data-duration="{clip.duration_s:.6f}" '
        f'aria-labelledby="clip-{number}-name">'
        f'<div class="about">{rank}<h3 id="clip-{number}-name">{name}</h3>'
        f'<span class="soft">{escape(", ".join(facts))}</span></div>'
        f'<div class="controls"><button type="button" aria-label="Play or pause {name}">Play</button>'
        f'<input type="range" min="0" max="{clip.duration_s:.6f}" step="0.01" value="0" '
        f'aria-label="Position in {name}">'
        f'<output aria-live="off">0.0 / {clip.duration_s:.1f} s</output></div>'
        f'<fieldset class="tracks"><legend>{escape(legend)}</legend>{tracks}</fieldset></article>'
    )


def _track(clip: Clip, track: Track, number: int, index: int) -> str:
    shown = [name for name in OF_A_TRACK if name in track.scores and math.isfinite(track.scores[name])]
    scores = "<br>".join(f"{TITLES[name]} {format_score(name, track.scores[name])}" for name in shown[:3])
    checked = " checked" if track.system == OWN_SYSTEM or (index == 0 and not _has_own(clip)) else ""
    identity, system, name = f"clip-{number}-{index}", escape(track.system), escape(clip.name)
    return (
        f'<div class="track" data-system="{system}"><label for="{identity}"><input type="radio" id="{identity}" '
        f'name="clip-{number}"{checked}><span class="name">{system}</span><small>{scores}</small></label>'
        f'<div class="spectrogram"><img alt="Spectrogram of {name}, {system}: 0 to 24 kHz, {clip.duration_s:.1f} s" '
        f'src="{data_address("image/png", track.picture)}"><i></i></div>'
        f'<audio controls preload="none" aria-label="{name}, {system}" '
        f'src="{data_address(track.mime, track.audio)}"></audio>'
        "</div>"
    )


def _has_own(clip: Clip) -> bool:
    return any(track.system == OWN_SYSTEM for track in clip.tracks)


def data_address(mime: str, content: bytes) -> str:
    """A file as an address that fetches nothing."""
    return f"data:{mime};base64,{base64.b64encode(content).decode()}"


def _made(comparison: Comparison) -> str:
    commands = "\n".join(command for command in (comparison.command, comparison.evaluation_command()) if command)
    versions = ", ".join(f"{name} {number}" for name, number in made_with().items())
    meanings = "".join(f"<dt>{escape(term)}</dt><dd>{escape(text)}</dd>" for term, text in MEANINGS.items())
    return (
        f"<pre>{escape(commands)}</pre><p class='soft'>{escape(versions)}</p>"
        f'<h3>What the measures are</h3><dl class="glossary">{meanings}</dl>'
    )
