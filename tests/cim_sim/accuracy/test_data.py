"""Data sets: content, determinism, and files that are not what they should be."""

import pickle

import numpy as np
import pytest
import torch

from cim_sim.accuracy import images as data
from cim_sim.accuracy import shapes
from cim_sim.config import UsageError
from cim_sim.image_sets import image_set


def test_shapes_have_the_declared_form_and_all_classes_alike():
    split = data.load("shapes")
    assert [part.images.shape[0] for part in split[:3]] == [4000, 1000, 1000]
    assert all(part.images.shape[1:] == (3, 16, 16) for part in split[:3])
    assert torch.bincount(split.train.labels).tolist() == [400] * 10
    assert split.train.images.dtype == torch.float32
    assert abs(float(split.train.images.mean())) < 0.2
    assert 0.5 < float(split.train.images.std()) < 1.5


@pytest.mark.parametrize("name", ["shapes", "digits"])
def test_no_image_of_the_exam_was_ever_seen(name):
    parts = [{image.numpy().tobytes() for image in part.images} for part in data.load(name)[:3]]
    assert parts[0].isdisjoint(parts[1])
    assert parts[2].isdisjoint(parts[0] | parts[1])


@pytest.mark.parametrize("name", ["shapes", "shapes-32", "digits", "digits-16"])
def test_images_are_what_the_cost_model_is_told(name):
    declared, split = image_set(name), data.load(name)
    shape = (declared.channels, declared.side, declared.side)
    assert all(part.images.shape[1:] == shape for part in split[:3])
    assert int(split.train.labels.max()) + 1 == declared.classes == split.classes


def test_shapes_are_the_same_each_time_and_differ_between_seeds():
    first, labels = shapes.images(50, 16, seed=5)
    again, same_labels = shapes.images(50, 16, seed=5)
    np.testing.assert_array_equal(first, again)
    np.testing.assert_array_equal(labels, same_labels)
    assert not np.array_equal(first, shapes.images(50, 16, seed=6)[0])


def test_every_shape_is_drawn_and_none_equals_another():
    grid = np.linspace(-1, 1, 33)
    x, y = np.meshgrid(grid, grid)
    drawn = {name: distance(x, y) < 0 for name, distance in shapes.SHAPES.items()}
    assert len({mask.tobytes() for mask in drawn.values()}) == 10
    assert all(0.1 < mask.mean() < 0.9 for mask in drawn.values())


@pytest.mark.parametrize(("name", "side"), [("digits", 8), ("digits-16", 16)])
def test_digits_are_split_without_overlap(name, side):
    split = data.load(name)
    assert split.train.images.shape == (1024, 1, side, side)
    assert split.selection.images.shape == (397, 1, side, side)
    assert split.exam.images.shape == (376, 1, side, side)
    assert -1 <= float(split.train.images.min()) < float(split.train.images.max()) <= 1


def write_batches(folder, count=4):
    rng = np.random.default_rng(0)
    names = [f"data_batch_{number}" for number in range(1, 6)] + ["test_batch"]
    for name in names:
        pixels = rng.integers(0, 256, (count, 3072), dtype=np.uint8)
        with (folder / name).open("wb") as file:
            pickle.dump({b"data": pixels, b"labels": [1, 2, 3, 9][:count]}, file, protocol=2)


def test_a_local_copy_of_cifar10_is_read(tmp_path):
    (tmp_path / "cifar-10-batches-py").mkdir()
    write_batches(tmp_path / "cifar-10-batches-py")
    split = data.load(f"cifar10:{tmp_path}")
    assert split.train.images.shape == (20, 3, 32, 32)
    assert split.selection.labels.tolist() == [1, 2]
    assert split.exam.labels.tolist() == [3, 9]
    with (tmp_path / "cifar-10-batches-py" / "test_batch").open("rb") as file:
        first = pickle.load(file, encoding="bytes")[b"data"][0, 0]
    assert float(split.selection.images[0, 0, 0, 0]) == pytest.approx(
        (first / 255 - 0.4914) / 0.247
    )


def test_a_pickle_that_would_run_code_is_refused(tmp_path):
    write_batches(tmp_path)
    (tmp_path / "test_batch").write_bytes(b"cos\nsystem\n(S'true'\ntR.")
    with pytest.raises(UsageError, match=r"test_batch: not a CIFAR-10 batch.*refused to load"):
        data.load(f"cifar10:{tmp_path}")


def test_missing_files_and_unknown_names_say_what_to_do(tmp_path):
    with pytest.raises(UsageError, match=r"data_batch_1: No such file.*cifar-10-python.tar.gz"):
        data.load(f"cifar10:{tmp_path / 'nowhere'}")
    with pytest.raises(UsageError, match="dataset 'shape' is not known; choose from shapes"):
        data.load("shape")
