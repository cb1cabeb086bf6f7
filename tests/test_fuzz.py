import numpy as np
import pytest

import fuzz_model
import percepnet.model.file
from fuzz_model import DAMAGES, Found, attempt, damaged, fuzz, originals


def test_damaged_model_files_are_refused_or_of_use(tmp_path):
    tally = fuzz(1_000_000, seed=7, folder=tmp_path)
    assert tally.refused > 50
    assert tally.loaded > 0


def test_the_originals_are_of_use(tmp_path):
    for number, whole in enumerate(originals(tmp_path)):
        path = tmp_path / f"{number}.safetensors"
        path.write_bytes(whole)
        assert attempt(path)


def test_a_seed_makes_the_same_damage_again(tmp_path):
    whole = originals(tmp_path)[0]
    files = [[damaged(whole, rng) for _ in range(20)] for rng in (np.random.default_rng(3), np.random.default_rng(3))]
    assert files[0] == files[1]
    assert len(set(files[0])) > 15


@pytest.mark.parametrize("damage", sorted(set(DAMAGES), key=DAMAGES.index))
def test_every_kind_of_damage_damages_even_what_is_damaged(tmp_path, damage):
    whole = originals(tmp_path)[0]
    rng = np.random.default_rng(1)
    changed = []
    for start in (whole, whole[:300], whole[:5], b""):
        file = bytearray(start)
        damage(file, rng)
        changed.append(file != start)
    assert changed[0]


def test_another_exception_is_found(tmp_path, monkeypatch):
    def careless(path):
        raise KeyError("params")

    monkeypatch.setattr(percepnet.model.file, "read_container", careless)
    with pytest.raises(Found, match=r"damaged\.safetensors: loading: KeyError"):
        fuzz(100_000, seed=1, folder=tmp_path)
    assert (tmp_path / "damaged.safetensors").is_file()


def test_a_model_that_gives_no_numbers_is_found(tmp_path, monkeypatch):
    class Broken:
        def process(self, hops):
            return hops * np.float32(np.nan)

    monkeypatch.setattr(fuzz_model, "open_stream", lambda model: Broken())
    path = tmp_path / "whole.safetensors"
    path.write_bytes(originals(tmp_path)[0])
    with pytest.raises(Found, match="no number"):
        attempt(path)
