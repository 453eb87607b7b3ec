"""Batches: scaled, mirrored and ordered as the protocol says, from memory or from disk alike."""

import numpy as np
import pytest
import torch

from patchvae.data import tensors
from patchvae.data.store import Prepared, open_dataset
from patchvae.data.tensors import Images, Stored, epoch_order, load_images
from patchvae.errors import DataError

CPU = torch.device("cpu")


@pytest.fixture
def prepared(parts_root) -> Prepared:
    return open_dataset("parts32", parts_root)


def test_a_batch_is_the_images_scaled_and_some_mirrored(prepared):
    images = load_images(prepared, ("train",), 40, CPU)
    index = torch.tensor([3, 0, 39])
    flip = torch.tensor([False, True, False])
    x = images.batch(index, flip)
    rows = prepared.images("train")[prepared.subset_indices("train", 40)[index.numpy()]]
    expected = rows.astype(np.float64) / 127.5 - 1
    expected[1] = expected[1][:, ::-1]
    assert x.shape == (3, 3, 32, 32)
    assert x.is_contiguous(memory_format=torch.channels_last)
    np.testing.assert_allclose(x.permute(0, 2, 3, 1).numpy(), expected, atol=1e-6)
    assert images.labels[3] == prepared.labels("train")[prepared.subset_indices("train", 40)[3]]


def test_images_on_disk_give_the_same_batches(prepared, monkeypatch):
    resident = load_images(prepared, ("train",), 300, CPU)
    monkeypatch.setattr(tensors, "HOST_BYTES", 1000)
    stored = load_images(prepared, ("train",), 300, CPU)
    assert isinstance(resident.pixels, torch.Tensor)
    assert isinstance(stored.pixels, Stored)
    order, flip = epoch_order(300, True, CPU, 0)
    assert torch.equal(stored.batch(order, flip), resident.batch(order, flip))


def test_images_on_disk_are_read_without_asking_the_device(prepared, monkeypatch):
    """The meta device holds no numbers, so an index there could not be read."""
    monkeypatch.setattr(tensors, "HOST_BYTES", 1000)
    images = load_images(prepared, ("train",), 300, CPU)
    elsewhere = Images(Stored(images.pixels.splits, torch.device("meta")))
    assert elsewhere.index_device == CPU
    order, flip = epoch_order(300, True, elsewhere.index_device, 0)
    x = elsewhere.batch(order[:16], flip[:16])
    assert (x.device.type, x.shape) == ("meta", (16, 3, 32, 32))
    assert Images(torch.empty(4, 8, 8, 3, device="meta")).index_device.type == "meta"


def test_several_splits_follow_each_other(prepared, monkeypatch):
    monkeypatch.setattr(tensors, "CHUNK", 7)
    images = load_images(prepared, ("train", "test"), 20, CPU)
    assert images.labels is None
    parts = [prepared.images(s)[prepared.subset_indices(s, 20)] for s in ("train", "test")]
    np.testing.assert_array_equal(images.pixels.numpy(), np.concatenate(parts))


def test_a_file_cut_short_while_open_is_noticed(prepared, tmp_path):
    array = np.lib.format.open_memmap(tmp_path / "a.npy", "w+", np.uint8, (4, 8, 8, 3))
    array.flush()
    stored = Stored((tensors.Split(array, np.arange(4)),), CPU)
    with (tmp_path / "a.npy").open("r+b") as file:
        file.truncate(array.offset + 3 * 192 + 10)
    assert stored[torch.tensor([2])].shape == (1, 8, 8, 3)
    with pytest.raises(DataError, match=r"a\.npy is shorter"):
        stored[torch.tensor([3])]


def test_the_order_is_a_permutation_that_its_words_decide():
    order, flip = epoch_order(1000, True, CPU, 0, "pretrain", 3)
    assert torch.equal(order.sort().values, torch.arange(1000))
    assert 400 < flip.sum() < 600
    again, _ = epoch_order(1000, True, CPU, 0, "pretrain", 3)
    other, _ = epoch_order(1000, True, CPU, 0, "pretrain", 4)
    assert torch.equal(order, again)
    assert not torch.equal(order, other)
    assert epoch_order(10, False, CPU, 0)[1] is None


def test_drawing_an_order_leaves_the_global_generator_alone():
    before = torch.get_rng_state()
    epoch_order(10, True, CPU, 0)
    assert torch.equal(torch.get_rng_state(), before)


def test_scale_reaches_both_ends():
    pixels = torch.tensor([0, 255], dtype=torch.uint8).view(2, 1, 1, 1).expand(2, 8, 8, 3)
    x = Images(pixels).batch(torch.arange(2))
    assert x.min() == -1
    assert x.max() == 1


def test_rows_are_read_in_any_order_repeatedly_and_over_several_files(tmp_path):
    rng, splits, whole = np.random.default_rng(0), [], []
    for name, n in (("a", 7), ("b", 5)):
        content = rng.integers(0, 256, (n, 8, 8, 3), dtype=np.uint8)
        np.save(tmp_path / f"{name}.npy", content)
        chosen = np.sort(rng.permutation(n)[: n - 1])
        splits.append(tensors.Split(np.load(tmp_path / f"{name}.npy", mmap_mode="r"), chosen))
        whole.append(content[chosen])
    index = torch.tensor([9, 0, 9, 5, 6, 3])
    expected = np.concatenate(whole)[index.numpy()]
    np.testing.assert_array_equal(Stored(tuple(splits), CPU)[index].numpy(), expected)
