"""`percepnet web`."""

import webbrowser
from typing import Annotated

import typer

from percepnet.web import HOST, PORT


def web(
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes one that is free.")] = PORT,
    open_page: Annotated[bool, typer.Option("--open/--no-open", help="Open the page in the browser.")] = True,
) -> None:
    """Serve the demo page on this machine: microphone, recordings and a call, all within the browser."""
    from percepnet.web.server import create_server

    with create_server(port) as server:
        address = f"http://{HOST}:{server.server_address[1]}/"
        print(f"{address}  (Ctrl-C ends it)", flush=True)
        if open_page:
            webbrowser.open(address)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            print()
