"""What `percepnet enhance --ray` prints."""

import json
import time
from contextlib import ExitStack
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import typer

from percepnet.bulk.cluster import Summary
from percepnet.bulk.cluster import enhance_archive as enhance_on_ray
from percepnet.bulk.one import Settings
from percepnet.bulk.progress import LOG_EVERY_S, duration
from percepnet.errors import AudioError, complain
from percepnet.exits import EXIT_SOME_FAILED

FAILURES_SHOWN = 20


def enhance_archive(
    source: str,
    target: str,
    settings: Settings,
    model: str | None,
    *,
    address: str | None,
    suffix: str | None,
    report: Path | None,
    as_json: bool,
) -> None:
    """Enhance an archive, say how far it is every half minute, and what failed at the end."""
    started = time.monotonic()
    next_line = started + LOG_EVERY_S
    with ExitStack() as stack:
        try:
            lines = stack.enter_context(report.open("a", encoding="utf-8")) if report else None
        except OSError as error:
            raise AudioError(f"{report}: cannot be written ({error.strerror})") from error

        def tell(summary: Summary, outcome: dict[str, Any]) -> None:
            nonlocal next_line
            if lines:
                lines.write(json.dumps(outcome) + "\n")
            now = time.monotonic()
            if now >= next_line and not as_json:
                next_line = now + LOG_EVERY_S
                speed = summary.audio_s / (now - started)
                complain(
                    f"{summary.done} files done, {summary.there} there before, {summary.failed} failed, "
                    f"{duration(summary.audio_s)} of audio, {speed:.0f} times real time"
                )

        summary = enhance_on_ray(
            source,
            target,
            replace(settings, model=None),
            model=model,
            address=address,
            suffix=suffix,
            tell=tell,
        )
    if as_json:
        print(json.dumps(asdict(summary), indent=2))
    else:
        for failure in summary.failures[:FAILURES_SHOWN]:
            complain(f"{failure['input']}: {failure['error'].removeprefix(failure['input'] + ': ')}")
        if summary.failed > FAILURES_SHOWN:
            complain(f"and {summary.failed - FAILURES_SHOWN} more, in {target}'s ledger")
        speed = summary.audio_s / max(summary.seconds, 1e-9)
        print(
            f"{target}: {summary.done} files done, {summary.there} there before, {summary.failed} failed, "
            f"{summary.not_taken} not taken; {duration(summary.audio_s)} of audio in {duration(summary.seconds)}, "
            f"{speed:.0f} times real time"
        )
    if summary.failed:
        raise typer.Exit(EXIT_SOME_FAILED)
