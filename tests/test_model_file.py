"""The two readers of model files, in Python and in C: what one refuses the other one refuses, for the same field."""

import ctypes
import json
import struct
from itertools import pairwise

import numpy as np
import pytest

from model_files import (
    EVERYTHING,
    INFO,
    PARAMS,
    SMALLEST,
    SOUND,
    WRONG,
    changed,
    filled,
    format_1,
    framed,
    packed,
    unpacked,
)
from percepnet import native
from percepnet.errors import ModelError
from percepnet.model import Model
from percepnet.params import SignalParams

WHOLE = filled().to_bytes()
MESSAGE_MAX = 255
WHOLE_FILE = "not a whole safetensors file"  # instead of the field that is wrong, which is the header


def by_python(data):
    """What it says when it refuses, or None."""
    try:
        Model.from_bytes(data)
    except ModelError as error:
        return str(error)
    return None


def by_core(data):
    core, error = native.library(), native.Error()
    handle = core.percepnet_model_load_for(data, len(data), None, ctypes.byref(error))
    if not handle:
        return str(error)
    core.percepnet_model_destroy(handle)
    return None


def fields(data):
    """The fields that the two refusals name; each is one line that says what was expected and what was found."""
    found = []
    for message in (by_python(data), by_core(data)):
        assert message is None or (message.isprintable() and len(message.encode()) <= MESSAGE_MAX)
        found.append(
            message
            and ("header" if WHOLE_FILE in message else message.split(":")[0].split(" is ")[0].split(" must ")[0])
        )
    return found


@pytest.mark.parametrize("case", SOUND, ids=lambda case: case.what)
def test_what_is_no_reason_to_refuse(case):
    data = changed(case, WHOLE)
    assert by_python(data) is None
    assert by_core(data) is None


@pytest.mark.parametrize("case", WRONG, ids=lambda case: case.what[:40])
def test_both_name_the_field(case):
    assert fields(changed(case, WHOLE)) == [case.field] * 2


def test_of_two_faults_both_name_the_same():
    """Faults of one part each, in the order in which a file is read."""
    parts = ["format_version", "family", "signal.lookahead_frames", "features", "heads.gains", "info.hours", "in.bias"]
    cases = [next(case for case in WRONG if case.field == field) for field in parts]
    for first, second in pairwise(cases):
        assert fields(changed(first, changed(second, WHOLE))) == [first.field] * 2


@pytest.mark.parametrize(
    ("field", "changes"),
    [
        ("params", {"params": []}),
        ("params", {"params": {"lookahead_frames": 2}}),
        ("params", {"params": {"lookahead_frames": 2, "band_edges": [0, 4], "highpass_hz": 30}}),
        ("params.lookahead_frames", {"params": {"lookahead_frames": 9, "band_edges": [0, 4]}}),
        ("params.lookahead_frames", {"params": {"lookahead_frames": "2", "band_edges": [0, 4]}}),
        ("params.band_edges", {"params": {"lookahead_frames": 2, "band_edges": [0, "x"]}}),
        ("architecture", {"architecture": {"dense": 4}}),
        ("architecture", {"architecture": None}),
        ("info", {"info": 3}),
        ("info.hours", {"info": {"hours": 3}}),
        ("metadata", {"future": 1}),
    ],
)
def test_format_1_refused(field, changes):
    assert fields(format_1(filled(SMALLEST, SignalParams()), **changes)) == [field] * 2


@pytest.mark.parametrize("units", [0, -1, 10**9, 1.5, True, None, "2", 4097])
@pytest.mark.parametrize("name", ["dense", "conv1", "conv2", "gru", "strength_gru"])
def test_sizes_of_format_1(name, units):
    sizes = dict.fromkeys(("dense", "conv1", "conv2", "gru", "strength_gru"), 2) | {name: units}
    data = format_1(filled(SMALLEST, SignalParams()), architecture=sizes)
    assert fields(data) == [f"architecture.{name}"] * 2


@pytest.mark.parametrize("exact", [False, True])
def test_format_1_accepted(exact):
    assert fields(format_1(filled(SMALLEST, SignalParams()), exact)) == [None, None]


def test_format_1_cannot_mix():
    """A scale beside a matrix that is none in 8 bits."""
    data = format_1(filled(SMALLEST, SignalParams()), True)
    description, tensors = unpacked(data)
    tensors["gru1.weight_ih.scale"] = ("F32", [6], bytes(24))
    assert fields(packed(description, tensors)) == ["gru1.weight_ih"] * 2
    description, tensors = unpacked(format_1(filled(SMALLEST, SignalParams())))
    del tensors["gru1.weight_ih.scale"]
    assert fields(packed(description, tensors)) == ["gru1.weight_ih.scale"] * 2


NO_JSON = (
    "",
    "{",
    '{"a": 1,}',
    '{"a" 1}',
    "{'a': 1}",
    '{"a": NaN}',
    '{"a": Infinity}',
    '{"a": -Infinity}',
    '{"a": 01}',
    '{"a": +1}',
    '{"a": 1.}',
    '{"a": .5}',
    '{"a": 1e}',
    '{"a": 0x1}',
    '{"a": tru}',
    '{"a": "\\ud800"}',
    '{"a": "\\udc00"}',
    '{"a": "\\ud800\\ud800"}',
    '{"a": "\\ud800x"}',
    '{"\\udfff": 1}',
    '{"a": "\\x41"}',
    '{"a": "\\u12"}',
    '{"a": "\t"}',
    '{"a": "\x00"}',
    '{"a": 1}}',
    '{"a": 1} x',
    "\ufeff{}",
    '{"a": ' + "9" * 65 + "}",
    '{"a": ' + "[" * 64 + "1" + "]" * 64 + "}",
    '{"a": ' + "[" * 100_000 + "]" * 100_000 + "}",
    '{"a": ' + '{"a":' * 5000,
)


@pytest.mark.parametrize("text", NO_JSON, ids=range(len(NO_JSON)))
def test_a_description_that_is_no_json(text):
    _, tensors = unpacked(WHOLE)
    assert fields(packed(text, tensors)) == ["metadata"] * 2


@pytest.mark.parametrize("text", ["[]", "3", "null", '"x"', "true", "-1e9"])
def test_a_description_that_is_no_object(text):
    _, tensors = unpacked(WHOLE)
    assert fields(packed(text, tensors)) == ["metadata"] * 2


def test_json_that_is_unusual():
    description, tensors = unpacked(WHOLE)
    text = json.dumps(description)[1:-1]
    for more in (
        '"x": ' + "[" * 63 + "1" + "]" * 63,
        '"x": ' + "[" * 64 + "]" * 64,
        '"x": -0.0e-999',
        '"x": 1E+400',
        '"\\u0041\\ud83c\\udfa4": "\\/\\b\\f\\n\\r\\t\\\\\\""',
        '"family": "twice"',
        '"x": {"x": 1, "x": 2}',
    ):
        assert fields(packed(f" \n{{{more} ,\r\t{text}}} ", tensors)) == [None, None], more


@pytest.mark.parametrize(
    ("number", "is_taken"),
    [
        ("60.99999999999999999999999999999999999", True),
        ("9" * 60, False),
        ("9" * 58 + "e-57", True),
        ("0." + "0" * 40 + "6e42", True),
        ("0e999", True),
        ("-0.0", True),
        ("1e-320", False),
        ("1e-400", True),  # which is 0
        ("1e+2", True),
        ("0.99999", False),
    ],
)
def test_numbers_of_many_digits(number, is_taken):
    description, tensors = unpacked(WHOLE)
    text = json.dumps(description).replace("60.5", number)
    assert fields(packed(text, tensors)) == [None if is_taken else "signal.highpass_hz"] * 2


def test_what_comes_twice():
    """The last value counts, but none of them may be wrong."""
    description, tensors = unpacked(WHOLE)
    text = json.dumps(description)
    assert fields(packed(text[:-1] + ', "family": "other"}', tensors)) == ["family"] * 2
    twice = text.replace('"hours": "1.5"', '"hours": 1.5, "hours": "1.5"')
    assert fields(packed(twice, tensors)) == ["info.hours"] * 2
    twice = text.replace('"gains": "gain"', '"gains": [], "gains": "gain"')
    assert fields(packed(twice, tensors)) == ["heads.gains"] * 2


def parts(data):
    length = struct.unpack("<Q", data[:8])[0]
    return data[8 : 8 + length], data[8 + length :]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b'"in.bias":', b'"in.bias":3,"in.bias":'),
        (b'"shape":[6]', b'"shape":null'),
        (b'"shape":[6]', b'"shape":{"a":6}'),
        (b'"data_offsets":[', b'"data_offsets":[0,'),
        (b'"data_offsets":[', b'"offsets":['),
        (b'"data_offsets":[0,', b'"data_offsets":[-1,'),
        (b'"data_offsets":[0,', b'"data_offsets":[99999999999999999999,'),
        (b'"in.bias":', b'"\\ud800":'),
        (b'"in.bias":', b'"\xff":'),
        (b'"in.bias":', b'"\xed\xa0\x80":'),
        (b'"in.bias":', b'"\xc0\xaf":'),
        (b'"in.bias":', b"in.bias:"),
    ],
)
def test_a_damaged_header(before, after):
    header, body = parts(WHOLE)
    assert before in header
    assert fields(framed(header.replace(before, after, 1), body)) == ["header"] * 2


@pytest.mark.parametrize("after", [b'"dtype":32', b'"type":"F32"', b'"dtype":"float32"'])
def test_a_type_that_is_none(after):
    header, body = parts(WHOLE)
    first = next(name for name in json.loads(header) if json.loads(header)[name].get("dtype") == "F32")
    assert fields(framed(header.replace(b'"dtype":"F32"', after, 1), body)) == [first] * 2


def test_a_header_that_does_not_end():
    header, body = parts(WHOLE)
    assert fields(framed(header.rstrip()[:-1], body)) == ["header"] * 2
    assert fields(framed(header + b"}", body)) == ["header"] * 2


def test_names_that_are_not_shown_as_they_are():
    """The core shows them as they stand in the file, Python what they mean."""
    description, tensors = unpacked(WHOLE)
    for name in ("in.bias\0", "in.bias\n", "é.weight", "in.bias\x7f", "x" * 999):
        assert None not in fields(packed(description, tensors | {name: ("F32", [1], bytes(4))}))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b'"percepnet"', b'"perceptron"'),
        (b'{"percepnet":', b'{"percepnet":3,"x":'),
    ],
)
def test_metadata_that_say_nothing(before, after):
    header, body = parts(WHOLE)
    damaged = header.replace(before, after, 1)
    assert damaged != header
    assert fields(framed(damaged, body)) == ["metadata"] * 2


def test_tensors_that_overlap_or_leave_a_gap():
    header, body = parts(WHOLE)
    value = json.loads(header)
    assert fields(framed(header, body + b"\0")) == ["header"] * 2
    name = max((n for n in value if n != "__metadata__"), key=lambda n: value[n]["data_offsets"])
    value[name]["data_offsets"] = [at + 4 for at in value[name]["data_offsets"]]
    assert fields(framed(json.dumps(value).encode(), body + bytes(4))) == ["header"] * 2
    value[name]["data_offsets"] = [at - 8 for at in value[name]["data_offsets"]]
    assert fields(framed(json.dumps(value).encode(), body[:-4])) == ["header"] * 2


def test_a_tensor_twice():
    header, body = parts(WHOLE)
    entry = json.loads(header)["in.bias"]
    entry["data_offsets"] = [len(body), len(body) + 24]
    again = header[:1] + b'"in.bias":' + json.dumps(entry).encode() + b"," + header[1:]
    assert fields(framed(again, body + bytes(24))) == ["header"] * 2


@pytest.mark.parametrize("data", [b"", b"{", bytes(8), bytes(9), b"RIFF" + bytes(1000), bytes(8) + b"{"])
def test_what_is_no_such_file(data):
    python, core = fields(data)
    assert python == core is not None


@pytest.mark.parametrize("length", [0, 1, 2, 10**8, 2**31, 2**63, 2**64 - 8, 2**64 - 1])
def test_header_lengths(length):
    header, body = parts(WHOLE)
    assert fields(struct.pack("<Q", length) + header + body) == ["header"] * 2


def test_truncation_anywhere():
    data = filled(SMALLEST, SignalParams(band_edges=(0, 9))).to_bytes()
    header = len(data) - len(parts(data)[1])
    rng = np.random.default_rng(1)
    for length in (*range(header + 1), *rng.integers(header, len(data), 200)):
        python, core = fields(data[:length])
        assert python == core is not None


def test_whole_files_are_taken_by_both():
    for seed in range(3):
        model = filled(seed=seed)
        for data in (model.to_bytes(), model.to_bytes(exact=True)):
            assert fields(data) == [None, None]
    assert Model.from_bytes(WHOLE).info == INFO
    assert Model.from_bytes(WHOLE).params == PARAMS
    assert Model.from_bytes(WHOLE).architecture == EVERYTHING


def test_random_damage_finds_both_of_one_mind():
    rng = np.random.default_rng(2)
    header_end = len(WHOLE) - len(parts(WHOLE)[1])
    for trial in range(600):
        data = bytearray(WHOLE)
        for _ in range(rng.integers(1, 4)):
            data[int(rng.integers(header_end if trial % 3 else len(data)))] ^= 1 << int(rng.integers(8))
        python, core = fields(bytes(data))
        assert (python is None) == (core is None), (trial, python, core)
