import pytest

from percepnet.errors import PercepNetError
from percepnet.evaluation.cache import Cache, file_digest, key_of


def test_what_is_kept_is_found_again_and_nothing_else(tmp_path):
    cache = Cache(tmp_path / "new" / "cache")
    assert cache.get(key_of("a")) is None
    cache.put(key_of("a"), {"stoi": 0.5, "pesq_wb": float("nan")})
    assert cache.get(key_of("a"))["stoi"] == 0.5
    assert cache.get(key_of("b")) is None
    assert (tmp_path / "new" / "cache" / ".gitignore").read_text() == "*\n"


def test_a_damaged_file_is_as_none(tmp_path):
    cache = Cache(tmp_path)
    cache.put("k", 1)
    (tmp_path / "k.json").write_text("{")
    assert cache.get("k") is None


def test_without_a_folder_nothing_is_kept():
    Cache().put("k", 1)
    assert Cache().get("k") is None


def test_keys_tell_parts_apart_and_files_are_known_by_content(tmp_path):
    assert key_of("ab", "c") != key_of("a", "bc")
    for name, content in (("x", b"1"), ("y", b"1"), ("z", b"2")):
        (tmp_path / name).write_bytes(content)
    x, y, z = (file_digest(tmp_path / name) for name in "xyz")
    assert x == y != z


def test_a_folder_that_cannot_be_made_is_an_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(PercepNetError, match="another --cache"):
        Cache(tmp_path / "file" / "cache").put("k", 1)
