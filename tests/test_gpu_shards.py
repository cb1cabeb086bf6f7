import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs torch: pip install 'percepnet[train]'")

from percepnet.training.features import Shards, shard_name, write_shard
from percepnet.training.gpu_shards import GpuShards, fits

CPU = torch.device("cpu")
ON_GPU = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
DEVICES = [CPU, pytest.param(torch.device("cuda", 0), marks=ON_GPU)]


@pytest.mark.parametrize("device", DEVICES, ids=str)
def test_draws_what_others_draw(tmp_path, device):
    rng = np.random.default_rng(0)
    for index in range(3):
        write_shard(tmp_path / shard_name(index), rng.uniform(-1, 1, (4, 6, 5)).astype(np.float16))
    held, mapped = GpuShards(tmp_path, device), Shards(tmp_path)
    for seed in (1, 2):
        found, expected = (shards.draw(np.random.default_rng(seed), 8) for shards in (held, mapped))
        assert found.device == device
        assert found.dtype == torch.float32
        np.testing.assert_array_equal(found.cpu().numpy(), expected)
    (tmp_path / shard_name(0)).unlink()
    held.refresh()
    assert len(held) == 2


def test_only_where_there_is_a_gpu_with_room():
    assert not fits(CPU, 1)


def test_half_of_what_is_free_is_room(monkeypatch):
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (1000, 4000))
    assert fits(torch.device("cuda", 0), 500)
    assert not fits(torch.device("cuda", 0), 501)
