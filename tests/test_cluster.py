"""Archives on Ray: a local cluster, and an S3-compatible server. Slow to start, so there are few."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
import soundfile

import identity_system
from percepnet.bulk import Settings
from percepnet.model import save_model

ray = pytest.importorskip("ray", reason="needs percepnet[ray]")

from percepnet.bulk import cluster


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("model") / "random.safetensors"
    save_model(identity_system.random_model(), path)
    return str(path)


@pytest.fixture
def one_node(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    monkeypatch.setenv("RAY_ENABLE_UV_RUN_RUNTIME_ENV", "0")

    def start() -> None:
        ray.init(num_cpus=1, include_dashboard=False, log_to_driver=False, logging_level="error")

    yield start
    ray.shutdown()


def fill(folder: Path) -> None:
    for name in ("a.wav", "deep/b.flac", "deep/c.wav"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(folder / name, np.random.default_rng(0).uniform(-0.1, 0.1, 1600), 16000)
    (folder / "bad.wav").write_text("no audio")
    (folder / "notes.txt").write_text("no audio")


def test_a_folder_is_done_once_and_bad_files_are_named(tmp_path: Path, model: str, one_node) -> None:
    fill(tmp_path / "in")
    one_node()
    summary = cluster.enhance_archive(str(tmp_path / "in"), str(tmp_path / "out"), Settings(), model=model)
    assert (summary.done, summary.there, summary.failed, summary.not_taken) == (3, 0, 1, 1)
    assert summary.failures[0]["input"] == "bad.wav"
    assert "not an audio file" in summary.failures[0]["error"]
    assert soundfile.info(tmp_path / "out" / "deep" / "b.flac").frames == 1600
    again = cluster.enhance_archive(str(tmp_path / "in"), str(tmp_path / "out"), Settings(), model=model)
    assert (again.done, again.there, again.failed) == (0, 3, 1)
    lines = [
        json.loads(line)
        for path in (tmp_path / "out" / cluster.LEDGER).iterdir()
        for line in path.read_text().splitlines()
    ]
    assert sorted(line["output"] for line in lines if line["event"] == "done") == ["a.wav", "deep/b.flac", "deep/c.wav"]


def test_object_stores(tmp_path: Path, model: str, one_node, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("s3fs", reason="needs s3fs")
    moto = pytest.importorskip("moto.server", reason="needs moto[server], an S3-compatible server")
    server = moto.ThreadedMotoServer(port=0)
    server.start()
    try:
        host, port = server.get_host_and_port()
        settings = {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x", "AWS_DEFAULT_REGION": "us-east-1"}
        settings["AWS_ENDPOINT_URL"] = f"http://{host}:{port}"
        for name, value in settings.items():
            monkeypatch.setenv(name, value)
        import s3fs

        store = s3fs.S3FileSystem(skip_instance_cache=True)
        store.mkdir("archive")
        fill(tmp_path / "in")
        for path in (tmp_path / "in").rglob("*"):
            if path.is_file():
                store.put_file(str(path), f"archive/in/{os.path.relpath(path, tmp_path / 'in')}")
        one_node()
        summary = cluster.enhance_archive("s3://archive/in", "s3://archive/out", Settings(), model=model)
        assert (summary.done, summary.failed, summary.not_taken) == (3, 1, 1)
        store.invalidate_cache()
        store.get_file("archive/out/deep/b.flac", str(tmp_path / "b.flac"))
        assert soundfile.info(tmp_path / "b.flac").frames == 1600
        again = cluster.enhance_archive("s3://archive/in", "s3://archive/out", Settings(), model=model)
        assert (again.done, again.there) == (0, 3)
    finally:
        server.stop()
