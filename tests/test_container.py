import numpy as np
import pytest
from safetensors.numpy import load

from model_files import filled, framed, packed, unpacked
from percepnet.errors import ModelError
from percepnet.model.container import read_container

WHOLE = filled().to_bytes()


def test_the_same_tensors_as_safetensors_itself():
    description, tensors = read_container(WHOLE)
    assert '"family"' in description
    expected = load(WHOLE)
    assert set(tensors) == set(expected)
    for name, tensor in tensors.items():
        np.testing.assert_array_equal(tensor.array(), expected[name])
        assert tensor.array().dtype == expected[name].dtype


def test_nothing_is_copied_and_nothing_can_be_changed():
    tensors = read_container(WHOLE)[1]
    array = tensors["in.bias"].array()
    assert array.base is not None
    assert not array.flags.writeable


def test_tensors_at_any_address():
    description, tensors = unpacked(WHOLE)
    whole = packed(description, tensors)
    shifted = packed(description, {"odd": ("U8", [1], b"\1")} | tensors)
    expected, found = read_container(whole)[1], read_container(shifted)[1]
    for name in tensors:
        np.testing.assert_array_equal(found[name].array(), expected[name].array())


def test_types_that_no_model_has_are_told_by_their_name():
    _, tensors = read_container(framed(b'{"x":{"dtype":"BF16","shape":[2],"data_offsets":[0,4]}}', bytes(4)))
    assert tensors["x"].type_name == "BF16"


def test_no_description():
    assert read_container(framed(b"{}", b"")) == (None, {})
    assert read_container(framed(b'{"__metadata__":{"percepnet":3}}', b"")) == (None, {})


def test_a_huge_shape_takes_no_memory():
    with pytest.raises(ModelError, match="header: expected a whole safetensors file"):
        read_container(framed(b'{"x":{"dtype":"F32","shape":[%d,%d],"data_offsets":[0,4]}}' % (2**50, 2**50), bytes(4)))
