"""For PyInstaller, which finds this folder by an entry point of the package, so that frozen programs run."""

from pathlib import Path


def get_hook_dirs() -> list[str]:
    """Folders of hooks, as PyInstaller asks for them."""
    return [str(Path(__file__).parent)]
