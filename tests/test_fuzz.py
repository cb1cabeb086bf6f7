import numpy as np
import pytest

import fuzz_model
import percepnet.model.file
from fuzz_model import DAMAGES, Found, attempt, damaged, fuzz, originals
from percepnet.reference.layers import KINDS


def test_damaged_model_files_are_refused_or_of_use(tmp_path):
    tally = fuzz(1_000_000, seed=7, folder=tmp_path)
    assert tally.refused > 50
    assert tally.loaded > 0


def test_the_originals_are_of_use():
    for whole in originals():
        assert attempt(whole)


def test_a_seed_makes_the_same_damage_again():
    whole = originals()[0]
    files = [[damaged(whole, rng) for _ in range(20)] for rng in (np.random.default_rng(3), np.random.default_rng(3))]
    assert files[0] == files[1]
    assert len(set(files[0])) > 15


@pytest.mark.parametrize("damage", sorted(set(DAMAGES), key=DAMAGES.index))
def test_every_kind_of_damage_damages_even_what_is_damaged(damage):
    whole = originals()[0]
    rng = np.random.default_rng(1)
    changed = []
    for start in (whole, whole[:300], whole[:5], b""):
        file = bytearray(start)
        damage(file, rng)
        changed.append(file != start)
    assert changed[0]


def test_another_exception_is_found(tmp_path, monkeypatch):
    def careless(data):
        raise KeyError("params")

    monkeypatch.setattr(percepnet.model.file, "_read", careless)
    with pytest.raises(Found, match=r"damaged\.safetensors: loading: KeyError"):
        fuzz(100_000, seed=1, folder=tmp_path)
    assert (tmp_path / "damaged.safetensors").is_file()


def test_a_model_that_gives_no_numbers_is_found(monkeypatch):
    class Broken:
        def process(self, hops):
            return hops * np.float32(np.nan)

    monkeypatch.setattr(fuzz_model, "open_stream", lambda model: Broken())
    with pytest.raises(Found, match="no number"):
        attempt(originals()[0])


@pytest.mark.parametrize(
    ("content", "core", "message"),
    [
        (originals()[0], "gain.bias: no", "only the core refuses it: gain.bias: no"),
        (b"nothing", None, "the core takes it, although: file: expected"),
        (b"nothing", "of several\nlines", "not one short line"),
        (b"nothing", "x" * 256, "not one short line"),
    ],
)
def test_a_core_of_another_mind_is_found(monkeypatch, content, core, message):
    monkeypatch.setattr(fuzz_model, "core_refuses", lambda content: core)
    with pytest.raises(Found, match=message):
        attempt(content)


def test_the_originals_have_every_kind_of_layer():
    assert {layer.kind for layer in fuzz_model.EVERYTHING.layers} == set(KINDS)
