from fnmatch import fnmatchcase

import pytest

from patchvae.paper.published import CellKey, accuracy
from patchvae.paper.readings import ORIGINS, readings, readings_of
from patchvae.study.config import protocol


def test_they_are_numbered_and_each_says_who_settles_it():
    assert list(readings()) == [f"A{i}" for i in range(1, 26)]
    assert {r.origin for r in readings().values()} == set(ORIGINS)


def test_every_pattern_matches_a_published_number():
    for reading in readings().values():
        for pattern in reading.cells:
            if reading.id == "A23":  # the untrained trunk is no row of the paper's
                continue
            parts = pattern.split("/")
            assert any(all(map(fnmatchcase, key, parts)) for key in accuracy()), pattern


@pytest.mark.parametrize(
    ("key", "some", "none"),
    [
        ("table1/beta-vae/cifar100-conv1", {"A3", "A10", "A12", "A13"}, {"A4", "A7", "A8", "A16"}),
        ("table1/beta-vae-gan-lw/indoor67-conv5", {"A6", "A7", "A8", "A16", "A17"}, {"A1", "A9"}),
        ("table1/bigan/places205-conv3", {"A17"}, {"A3", "A8"}),
        ("table1/imagenet-pretrained/indoor67-conv1", {"A10", "A11"}, {"A3", "A16"}),
        ("table2/patchvae/imagenet-top1", {"A1", "A14", "A18"}, {"A6", "A8"}),
        ("table4/prior_vis=0.05/indoor67-conv5", {"A4", "A5", "A9", "A18"}, {"A6", "A14"}),
    ],
)
def test_the_readings_of_a_cell(key, some, none):
    found = set(readings_of(CellKey.parse(key)))
    assert some <= found
    assert not none & found


def test_only_ours_are_listed_when_asked():
    key = CellKey.parse("table1/patchvae/cifar100-conv5")
    assert readings_of(key, "ours") == ["A4", "A9", "A10", "A12", "A13", "A18", "A19", "A22", "A24"]


def test_the_keys_are_keys_of_the_protocol_and_name_the_readings_back():
    entries = protocol()
    for reading in readings().values():
        assert set(reading.keys) <= set(entries), reading.id
    for entry in entries.values():
        if entry.reading:
            assert entry.key in readings()[entry.reading].keys
