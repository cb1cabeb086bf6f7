"""The errors that bad input raises. The command line prints their message on one line and exits with code 2."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager


class PercepNetError(ValueError):
    """Something that the caller gave cannot be used; the message says what, and what to do instead."""


class AudioError(PercepNetError):
    """A recording that cannot be read, processed or written."""


class ModelError(PercepNetError):
    """A model file that is damaged, of another version, or whose fields do not fit together."""


def complain(message: object) -> None:
    """Print what went wrong as one line on standard error."""
    print(f"percepnet: {' '.join(str(message).split())}", file=sys.stderr)


def installing(extra: str) -> str:
    """What installs an optional part of percepnet, from where packages are had or from its repository."""
    return f"pip install 'percepnet[{extra}]', or '.[{extra}]' in its repository"


@contextmanager
def extra_packages(extra: str) -> Iterator[None]:
    """Around imports that the base installation does not serve.

    Parameters
    ----------
    extra : str
        The optional part of percepnet that brings the packages.

    Raises
    ------
    PercepNetError
        If one is missing: which, and how to install it.
    """
    try:
        yield
    except ImportError as error:
        raise PercepNetError(f"this needs more packages ({error.name}): {installing(extra)}") from error
