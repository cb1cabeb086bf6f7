import pytest

from percepnet.model.strict_json import DEPTH_MAX, JsonObject, parse, plain, shown


def test_values():
    value = parse('{"a": [1, -2.5e3, true, null, "\\ud83c\\udfa4é"], "b": {}}')
    assert value == {"a": [1, -2500.0, True, None, "🎤é"], "b": {}}
    assert parse(b" 3 ") == 3


@pytest.mark.parametrize(
    "text",
    ["", "NaN", "[Infinity]", '{"a": -Infinity}', '"\\ud800"', '{"\\udc00": 1}', "[1,]", b"\xff", b'"\xed\xa0\x80"'],
)
def test_what_is_no_json(text):
    with pytest.raises(ValueError):  # noqa: PT011 (of several kinds, all of which callers expect)
        parse(text)


def test_depth():
    assert parse("[" * DEPTH_MAX + "1" + "]" * DEPTH_MAX)
    for text in ("[" * (DEPTH_MAX + 1) + "1" + "]" * (DEPTH_MAX + 1), "[" * 10**6 + "]" * 10**6, '{"a":' * 10**5):
        with pytest.raises(ValueError):  # noqa: PT011
            parse(text)


def test_members_that_come_twice_are_all_there():
    value = parse('{"a": 1, "b": 2, "a": 3}')
    assert isinstance(value, JsonObject)
    assert value == {"a": 3, "b": 2}
    assert value.pairs == [("a", 1), ("b", 2), ("a", 3)]


def test_integers_of_any_length():
    assert parse("9" * 300) == int("9" * 300)
    assert parse("-" + "9" * 5000) == float("-inf")


def test_shown_is_short_and_one_line():
    for value in ("é\n" * 999, [1] * 999, 10**5000, {"a": parse('{"b": 1}')}, object(), b"\0" * 99):
        assert len(shown(value)) <= 40
        assert shown(value).isascii()
        assert shown(value).isprintable()
    assert shown(parse('{"b": 1}')) == "{'b': 1}"
    assert shown(10**5000) == "int"
    assert plain("gru\n9é") == "gru?9?"
