"""The templates of this folder, and what they can call."""

import base64
from importlib.resources import files

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from markupsafe import Markup

from percepnet.evaluation.numbers import format_score

FOLDER = "templates"


def render(template: str, **values: object) -> str:
    """A template of this package, filled in; names of recordings and all other text are escaped in HTML and SVG."""
    return _environment.get_template(template).render(**values)


def data_address(mime: str, content: bytes) -> str:
    """A file as an address that fetches nothing."""
    return f"data:{mime};base64,{base64.b64encode(content).decode()}"


def _source(name: str) -> Markup:
    """A style sheet or a script of this package, as it is."""
    return Markup((files(__package__) / FOLDER / name).read_text(encoding="utf-8"))


_environment = Environment(
    loader=PackageLoader("percepnet.evaluation.render", FOLDER),
    autoescape=select_autoescape(("html", "svg")),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
    extensions=["jinja2.ext.do"],
)
_environment.globals |= {"source": _source, "format_score": format_score, "data_address": data_address}
