from collections import Counter

import pytest

from patchvae.errors import ConfigError
from patchvae.paper import published
from patchvae.study.address import CellKey


def test_the_counts_per_table_are_those_of_the_paper():
    assert Counter(key.table for key in published.accuracy()) == {
        "table1": 90,
        "table2": 10,
        "table3": 16,
        "table4": 6,
        "table5": 6,
    }
    assert Counter(key.table for key in published.parameters()) == {
        "table6": 3,
        "table7": 3,
        "table8": 3,
        "table9": 3,
        "table10": 3,
    }


@pytest.mark.parametrize(
    ("key", "value", "position", "place"),
    [
        ("table1/beta-vae/cifar100-conv1", 44.12, "table1:1:1", "Table 1, row 1, column 1"),
        ("table1/bigan/indoor67-conv5", 9.70, "table1:9:6", "Table 1, row 9, column 6"),
        ("table2/patchvae-lw/imagenet-top5", 72.49, "table2:4:2", "Table 2, row 4, column 2"),
        (
            "table3/num_parts=64/indoor67-conv5",
            12.76,
            "table3:5:2",
            "Table 3 (left), row 5, column 2",
        ),
        (
            "table3/part_dim=6/cifar100-conv5",
            28.97,
            "table3:7:1",
            "Table 3 (right), row 2, column 1",
        ),
        ("table4/prior_vis=0.05/indoor67-conv5", 14.25, "table4:2:2", "Table 4, row 2, column 2"),
        ("table5/beta_vis=0.3/indoor67-conv5", 15.67, "table5:2:2", "Table 5, row 2, column 2"),
        ("table6/encoder-bigan/cifar100", 789_792, "table6:1:2", "Table 6, row 1, column 2"),
        ("table9/decoder-patchvae/indoor67+places205", 683_904, "table9:1:3", None),
        ("table10/classifier/places205", 4_983_053, "table10:1:3", None),
    ],
)
def test_a_number_is_found_by_key_and_by_printed_place(key, value, position, place):
    number = published.find(key)
    assert number.value == value
    assert number.position == position
    assert published.find(position) == number
    assert place is None or number.place == place


def test_keys_and_places_are_unique():
    numbers = published.numbers()
    assert len({n.key for n in numbers}) == len({n.position for n in numbers}) == 143


@pytest.mark.parametrize("wrong", ["table1/patchvae/cifar100-conv2", "table1:11:1", "patchvae", ""])
def test_a_number_that_the_paper_lacks_is_an_error(wrong):
    with pytest.raises(ConfigError, match="no number"):
        published.find(wrong)


def test_a_key_is_parsed_back_from_its_text():
    for number in published.numbers():
        assert CellKey.parse(str(number.key)) == number.key
    key = CellKey.parse("table2/patchvae/imagenet-top1")
    assert (key.dataset, key.measure) == ("imagenet", "top1")


@pytest.mark.parametrize("wrong", ["table1/patchvae", "table1//cifar100-conv1", "a/b/c/d"])
def test_a_malformed_key_is_an_error(wrong):
    with pytest.raises(ConfigError, match="is not a cell"):
        CellKey.parse(wrong)


def test_the_printed_layers_add_up_to_every_published_count():
    for key, count in published.parameters().items():
        assert sum(n for _, n in published.layers(key)) == count, key
