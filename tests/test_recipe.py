from pathlib import Path

import pytest

pytest.importorskip("torch", reason="training needs torch: pip install 'percepnet[train]'")

from percepnet.errors import PercepNetError
from percepnet.training.config import Config
from percepnet.training.recipe import read_recipe

RECIPES = Path(__file__).parents[1] / "recipes"


def recipe(folder, text):
    path = folder / "recipe.toml"
    path.write_text(text)
    return path


def test_settings_of_all_kinds(tmp_path):
    found = read_recipe(
        recipe(
            tmp_path,
            """
            preset = "tiny"
            hours = 3
            learning_rate = 2e-3
            exclude = ["a", "b"]
            speech = ["speech.jsonl"]
            [speech_weights]
            x = 2
            [mixing]
            room_share = 1
            [loss]
            kind = "P20"
            [teacher]
            share = 0.7
            """,
        )
    )
    config = Config(out="run", **found)
    assert (config.preset, config.hours, config.learning_rate, config.exclude) == ("tiny", 3, 2e-3, ("a", "b"))
    assert config.speech == (str(tmp_path / "speech.jsonl"),)
    assert config.speech_weights == {"x": 2}
    assert config.mixing.room_share == 1
    assert config.mixing.filter_share == Config(out="").mixing.filter_share
    assert config.loss.kind == "P20"
    assert config.teacher.share == 0.7


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("seed = [", "not TOML"),
        ("sed = 1", "sed: no such field; there are: out, speech, "),
        ("out = 'x'", "out: no such field"),
        ("seed = 'one'", "seed is 'one': expected `int`"),
        ("seed = true", "seed is True"),
        ("seed = 1.5", "seed is 1.5"),
        ("exclude = 'a'", "exclude is 'a'"),
        ("exclude = [1]", r"exclude\[0\] is 1: expected `str`"),
        ("mixing = 3", "mixing is 3"),
        ("[mixing]\nrooms = 1", r"mixing\.rooms: no such field"),
        ("[loss]\nkind = 'P19'", r"loss\.kind is 'P19'"),
        ("preset = 1", "preset is 1"),
    ],
)
def test_mistakes(tmp_path, text, message):
    with pytest.raises(PercepNetError, match=message):
        read_recipe(recipe(tmp_path, text))


def test_missing_file(tmp_path):
    with pytest.raises(PercepNetError, match="cannot read the recipe"):
        read_recipe(tmp_path / "no.toml")


@pytest.mark.parametrize("path", sorted(RECIPES.glob("*.toml")), ids=lambda path: path.name)
def test_the_recipes_of_the_shipped_models_are_valid(path):
    assert Config(out="run", **read_recipe(path)).hours


def test_a_setting_of_a_former_version_has_its_name_of_now(tmp_path):
    assert read_recipe(recipe(tmp_path, "hearings = 1.5")) == {"expected_reuse": 1.5}


def test_a_recipe_goes_over_the_one_that_it_extends(tmp_path):
    (tmp_path / "base").mkdir()
    other = tmp_path / "base" / "other.toml"
    other.write_text("hours = 3\nseed = 1\nspeech = ['a.jsonl']\n[loss]\nquartic = 2.0\n[loss.shifts]\n'0-3' = 0.25\n")
    text = "extends = 'base/other.toml'\nseed = 2\nnoise = ['b.jsonl']\n[loss.shifts]\n'0-3' = 0.5\n'4-9' = -0.5\n"
    config = Config(out="run", **read_recipe(recipe(tmp_path, text)))
    assert (config.hours, config.seed, config.loss.quartic) == (3, 2, 2.0)
    assert config.speech == (str(tmp_path / "base" / "a.jsonl"),)
    assert config.noise == (str(tmp_path / "b.jsonl"),)
    assert config.loss.shifts == {"0-3": 0.5, "4-9": -0.5}


def test_of_several_recipes_the_later_one_goes_over(tmp_path):
    (tmp_path / "one.toml").write_text("hours = 3\nseed = 1\n[mixing]\nroom_share = 0.1\npause_share = 0.2\n")
    (tmp_path / "other.toml").write_text("seed = 2\nbatch = 4\n[mixing]\nroom_share = 0.3\n")
    config = Config(out="run", **read_recipe(recipe(tmp_path, "extends = ['one.toml', 'other.toml']\nbatch = 8")))
    assert (config.hours, config.seed, config.batch) == (3, 2, 8)
    assert (config.mixing.room_share, config.mixing.pause_share) == (0.3, 0.2)


def test_a_recipe_that_cannot_be_extended(tmp_path):
    with pytest.raises(PercepNetError, match=r"other\.toml"):
        read_recipe(recipe(tmp_path, "extends = 'other.toml'"))
    with pytest.raises(PercepNetError, match="extends is 3: expected the name"):
        read_recipe(recipe(tmp_path, "extends = 3"))
    with pytest.raises(PercepNetError, match=r"extends is \[3\]: expected the name"):
        read_recipe(recipe(tmp_path, "extends = [3]"))
    with pytest.raises(PercepNetError, match="extends it in turn"):
        read_recipe(recipe(tmp_path, "extends = 'recipe.toml'"))
    (tmp_path / "other.toml").write_text("extends = 'recipe.toml'\nsed = 1")
    with pytest.raises(PercepNetError, match=r"other\.toml: sed: no such field"):
        read_recipe(recipe(tmp_path, "extends = 'other.toml'"))
    (tmp_path / "other.toml").write_text("extends = 'recipe.toml'")
    with pytest.raises(PercepNetError, match="extends it in turn"):
        read_recipe(recipe(tmp_path, "extends = 'other.toml'"))
