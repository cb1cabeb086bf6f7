"""Files of public repositories, from clones of them (bare or not), at their newest commit."""

import io
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path


class Clones:
    """Clones in one folder, each named owner+name.

    Parameters
    ----------
    folder : Path
    repositories : mapping of str to str
        What a clone is called here, and its folder's name.
    """

    def __init__(self, folder: Path, repositories: Mapping[str, str]) -> None:
        self._folder = folder
        self._repositories = repositories

    def file(self, name: str, path: str) -> bytes:
        """One file."""
        return self._git(name, "cat-file", "blob", f"HEAD:{path}")

    def folder(self, name: str, path: str) -> Iterator[tuple[str, bytes]]:
        """All files below a folder, by path."""
        with tarfile.open(fileobj=io.BytesIO(self._git(name, "archive", "HEAD", path))) as archive:
            for member in sorted(archive, key=lambda member: member.name):
                if member.isfile() and (stream := archive.extractfile(member)):
                    yield member.name, stream.read()

    def chosen(self, name: str, choose: Callable[[str], bool]) -> Iterator[tuple[str, bytes]]:
        """The files whose paths are chosen, by path; those that a partial clone lacks are counted aloud."""
        listed = self._git(name, "ls-tree", "-r", "-z", "HEAD").decode().split("\0")
        entries = (line.split("\t", 1) for line in listed if line)
        wanted = [(facts.split()[2], path) for facts, path in entries if choose(path)]
        command = ["git", "-C", str(self._place(name)), "cat-file", "--batch"]
        missing = 0
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as batch:
            assert batch.stdin
            assert batch.stdout
            for digest, path in wanted:
                batch.stdin.write(f"{digest}\n".encode())
                batch.stdin.flush()
                facts = batch.stdout.readline().split()
                if facts[-1] == b"missing":
                    missing += 1
                    continue
                yield path, batch.stdout.read(int(facts[2]))
                batch.stdout.read(1)  # the end of the line
        if missing:
            print(f"{self._place(name)}: {missing} of {len(wanted)} files are not in this clone", file=sys.stderr)

    def _place(self, name: str) -> Path:
        folder = self._folder / self._repositories[name]
        for place in (folder, folder / "repo"):
            if (place / "HEAD").exists() or (place / ".git").exists():
                return place
        address = self._repositories[name].replace("+", "/", 1)
        raise SystemExit(f"{folder}: no clone; get it with: git clone https://github.com/{address} {folder}")

    def _git(self, name: str, *arguments: str) -> bytes:
        command = ["git", "-C", str(self._place(name)), *arguments]
        return subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout
