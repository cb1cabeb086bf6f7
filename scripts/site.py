"""What mkdocs is helped with: pages that lie elsewhere in the repository, and links that leave docs/.

README, CHANGELOG and the cards of the models become pages. Linked files that are no pages (sources, recipes) are
copied beside them, so that the site needs nothing from elsewhere; a link to a folder becomes its plain name. Entries of
the menu whose pages have not been written are left out.
"""

import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[1]
PAGES = {  # of the repository, as pages of the site
    "README.md": "index.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security.md",
    "examples/README.md": "examples.md",
    **{f"src/percepnet/model/weights/{name}.md": f"models/{name}.md" for name in ("default", "small", "percepnet")},
    "src/percepnet/model/weights/echo/residual.md": "models/residual.md",
    "src/percepnet/model/weights/offline/backward.md": "models/backward.md",
}
SOURCES = {page: source for source, page in PAGES.items()}
LINK = re.compile(r"(!?)\[([^\[\]]*)\]\(([^()\s]+)\)")


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    config.nav = _there(config.nav)
    return config


def _there(entries: list[Any]) -> list[Any]:
    """The entries of a menu whose pages there are."""
    found = []
    for entry in entries:
        title, target = next(iter(entry.items())) if isinstance(entry, dict) else (None, entry)
        if isinstance(target, list):
            found.append({title: _there(target)})
        elif target in SOURCES or (ROOT / "docs" / target).is_file():
            found.append(entry)
    return found


def on_files(files: Files, config: MkDocsConfig) -> Files:
    for source, page in PAGES.items():
        files.append(File.generated(config, page, content=(ROOT / source).read_text(encoding="utf-8")))
    wanted: set[str] = set()
    for file in files.documentation_pages():
        for _, _, target in LINK.findall(file.content_string):
            path = _in_repository(file.src_uri, target.partition("#")[0])
            if path and path not in PAGES and not path.startswith("docs/") and (ROOT / path).is_file():
                wanted.add(path)
    for path in sorted(wanted):
        files.append(File.generated(config, f"source/{path}", abs_src_path=str(ROOT / path)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    here = page.file.src_uri

    def relinked(match: re.Match[str]) -> str:
        picture, text, target = match.groups()
        address, _, anchor = target.partition("#")
        path = _in_repository(here, address)
        if path is None:
            return match[0]
        if path in PAGES:
            there = PAGES[path]
        elif path.startswith("docs/"):
            there = path.removeprefix("docs/")
        elif (ROOT / path).is_file():
            there = f"source/{path}"
        elif (ROOT / path).is_dir():
            return text
        else:
            return match[0]  # mkdocs says that it is nowhere
        relative = posixpath.relpath(there, posixpath.dirname(here) or ".")
        return f"{picture}[{text}]({relative}{'#' * bool(anchor)}{anchor})"

    return LINK.sub(relinked, markdown)


def _in_repository(page: str, address: str) -> str | None:
    """Where a link of a page leads, from the root of the repository; None for one that leads elsewhere."""
    if not address or "://" in address or address.startswith(("mailto:", "/")):
        return None
    source = SOURCES.get(page, f"docs/{page}")
    return posixpath.normpath(posixpath.join(posixpath.dirname(source), address))
