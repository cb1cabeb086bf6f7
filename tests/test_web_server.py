"""`percepnet web`: the demo's files on this machine, under a strict policy."""

import threading
import urllib.error
import urllib.request

import pytest
from typer.testing import CliRunner

from percepnet.cli import app
from percepnet.errors import PercepNetError
from percepnet.web import server as web_server


@pytest.fixture
def site(tmp_path):
    (tmp_path / "index.html").write_text("<!doctype html><title>page</title>")
    (tmp_path / "percepnet.wasm").write_bytes(b"\0asm")
    (tmp_path / "folder").mkdir()
    return tmp_path


@pytest.fixture
def address(site):
    with web_server.create_server(0, site) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}/"
        server.shutdown()
        thread.join()


def test_files_and_their_policy(address):
    with urllib.request.urlopen(address) as answer:
        assert b"<title>page</title>" in answer.read()
        policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "'wasm-unsafe-eval'" in policy
    with urllib.request.urlopen(f"{address}percepnet.wasm") as answer:
        assert answer.headers["Content-Type"] == "application/wasm"


@pytest.mark.parametrize("path", ["none.js", "folder/", "../pyproject.toml", "%2e%2e/%2e%2e/etc/passwd"])
def test_nothing_else_is_served(address, path):
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(address + path)
    assert refused.value.code == 404


def test_only_this_machine_is_served(site):
    with web_server.create_server(0, site) as server:
        assert server.server_address[0] == "127.0.0.1"


def test_a_taken_port_is_said_in_words(site):
    with web_server.create_server(0, site) as server, pytest.raises(PercepNetError, match="--port"):
        web_server.create_server(server.server_address[1], site)


def test_without_the_page_it_says_how_to_build_it(monkeypatch, tmp_path):
    monkeypatch.setattr(web_server.create_server, "__defaults__", (web_server.PORT, tmp_path))
    result = CliRunner().invoke(app, ["web", "--no-open"])
    assert result.exit_code == 2
    assert "web/build.py" in result.output + result.stderr
