"""A web server for the demo's files, for this machine alone."""

import errno
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from percepnet.errors import PercepNetError
from percepnet.web import HOST, PORT

SITE = Path(__file__).parent / "site"
# as an app would be served that lets nothing in or out
POLICY = (
    "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self' 'unsafe-inline'; img-src 'self'; "
    "connect-src 'self'; worker-src 'self'; media-src 'self' blob: mediastream:; base-uri 'none'; form-action 'none'"
)


class _Handler(SimpleHTTPRequestHandler):
    # whatever the system's own table says
    extensions_map = {  # noqa: RUF012 - the base class has it so
        **SimpleHTTPRequestHandler.extensions_map,
        ".js": "text/javascript",
        ".wasm": "application/wasm",
        ".flac": "audio/flac",
        ".safetensors": "application/octet-stream",
    }

    def end_headers(self) -> None:
        self.send_header("Content-Security-Policy", POLICY)
        self.send_header("Cache-Control", "no-cache")
        super().end_headers()

    def list_directory(self, path: object) -> None:
        self.send_error(404)

    def log_message(self, format: str, *arguments: object) -> None:
        pass


def create_server(port: int = PORT, site: Path = SITE) -> ThreadingHTTPServer:
    """A server of the demo, which `serve_forever` runs.

    Parameters
    ----------
    port : int
        0 takes one that is free.
    site : Path
        The folder that is served.

    Raises
    ------
    PercepNetError
        If this installation does not have the page, or the port is taken.
    """
    if not (site / "index.html").is_file():
        raise PercepNetError(
            "this installation does not have the page: build it in the source folder with python web/build.py, "
            "which needs Node.js and pip install ziglang"
        )
    try:
        return ThreadingHTTPServer((HOST, port), partial(_Handler, directory=str(site)))
    except OSError as error:
        if error.errno not in (errno.EADDRINUSE, errno.EACCES):
            raise
        raise PercepNetError(f"port {port} cannot be used ({error.strerror}): give another one with --port") from error
    except OverflowError as error:
        raise PercepNetError(f"port is {port}: give 0 to 65535") from error
