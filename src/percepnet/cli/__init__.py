"""The command line. Each command is thin; what goes wrong becomes a line and an exit code in one place, `_Commands`.

A new command is a function with typer's annotations and a line in `COMMANDS`; its module imports what is heavy inside.
"""

import signal
import sys
import threading
import warnings
from types import FrameType
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

import percepnet
from percepnet.bench.command import bench
from percepnet.cli import enhance
from percepnet.errors import PercepNetError, complain
from percepnet.evaluation.command import evaluate, oracle
from percepnet.evaluation.decisions_command import decisions
from percepnet.evaluation.heldout_command import heldout
from percepnet.exits import EXIT_BAD_INPUT, EXIT_INTERRUPTED, EXIT_TERMINATED, Terminated
from percepnet.live.command import live
from percepnet.live.mic_command import mic
from percepnet.plugins.command import plugin_path
from percepnet.training.command import export, train
from percepnet.training.corpus_command import corpus
from percepnet.web.command import web

COMMANDS = (enhance.enhance, train, export, oracle, evaluate, decisions, heldout, bench, live, plugin_path, web)
GROUPS = {"corpus": corpus, "mic": mic}


class _Commands(TyperGroup):
    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except PercepNetError as error:
            complain(error)
            raise typer.Exit(EXIT_BAD_INPUT) from error
        except Terminated as stop:
            complain("terminated")
            raise typer.Exit(EXIT_TERMINATED) from stop
        except KeyboardInterrupt as interrupt:
            complain("interrupted")
            raise typer.Exit(EXIT_INTERRUPTED) from interrupt
        except BrokenPipeError as error:
            complain("nobody reads the output any more")
            sys.stdout = None  # or the interpreter complains again when it ends
            raise typer.Exit(EXIT_BAD_INPUT) from error


app = typer.Typer(
    cls=_Commands,
    help="Suppress noise and reverberation in speech.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
)


def main() -> None:
    """Run the command line; what `percepnet` starts."""
    warnings.showwarning = _warn
    for stream in (sys.stdout, sys.stderr):  # names need not be UTF-8, nor consoles
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    if threading.current_thread() is threading.main_thread() and hasattr(signal, "SIGTERM"):
        signal.signal(signal.SIGTERM, _terminate)
    app(prog_name="percepnet")


def _terminate(number: int, frame: FrameType | None) -> None:
    raise Terminated


def _warn(message: Warning | str, *_where: object, **_line: object) -> None:
    complain(f"warning: {message}")  # without the line of Python, which users did not write


def _print_version(wanted: bool) -> None:
    if wanted:
        print(percepnet.__version__)
        raise typer.Exit()


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version, and stop.")
    ] = False,
) -> None:
    pass


for _command in COMMANDS:
    app.command()(_command)
for _name, _group in GROUPS.items():
    app.add_typer(_group, name=_name)
