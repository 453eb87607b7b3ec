import pytest
from small_study import edit_study

from patchvae.paper.readings import readings_of
from patchvae.study.protocol import protocol
from patchvae.study.readings import ORIGINS, readings
from patchvae.study.tables import parse_cell, study_cells


def test_they_are_numbered_and_each_says_who_settles_it():
    assert list(readings()) == [f"A{i}" for i in range(1, 26)]
    assert {r.origin for r in readings().values()} == set(ORIGINS)


def test_every_reading_but_three_is_behind_a_published_number(in_repo):
    behind = {name for cell in study_cells("paper") for name in readings_of(cell.probes()[0])}
    # A15 and A25 are of no accuracy, and the untrained trunk (A23) is no row of the paper's
    assert set(readings()) - behind == {"A15", "A23", "A25"}


@pytest.mark.parametrize(
    ("key", "some", "none"),
    [
        ("table1/beta-vae/cifar100-conv1", {"A3", "A10", "A12", "A13"}, {"A4", "A7", "A8", "A16"}),
        ("table1/beta-vae-gan-lw/indoor67-conv5", {"A6", "A7", "A8", "A16", "A17"}, {"A1", "A9"}),
        ("table1/bigan/places205-conv3", {"A17"}, {"A3", "A8"}),
        ("table1/imagenet-pretrained/indoor67-conv1", {"A10", "A11", "A20"}, {"A3", "A16", "A22"}),
        ("table2/imagenet-supervised/imagenet-top1", {"A12", "A13", "A14"}, {"A22", "A23"}),
        ("table2/patchvae/imagenet-top1", {"A1", "A14", "A18"}, {"A6", "A8"}),
        ("table4/prior_vis=0.05/indoor67-conv5", {"A4", "A5", "A9", "A18"}, {"A6", "A14"}),
    ],
)
def test_the_readings_of_a_cell(in_repo, key, some, none):
    found = set(readings_of(parse_cell(key).probes()[0]))
    assert some <= found
    assert not none & found


def test_they_follow_the_configuration_and_not_the_name_of_a_row(project):
    edit_study(
        "table5: {datasets: [parts32]}",
        "table5: {datasets: [parts32], columns: [knn], extra: [{model: random, key: floor},"
        " {model: beta-vae-lw, key: other}]}",
    )

    def found(row, probe="conv5"):
        return set(readings_of(parse_cell(f"tiny/table5/{row}/parts32-{probe}").probes()[0]))

    assert found("floor") >= {"A10", "A12", "A13", "A23"}
    assert not found("floor") & {"A1", "A3", "A14", "A16", "A22"}
    assert found("other") >= {"A3", "A6", "A7", "A21", "A22"}
    assert not found("other") & {"A1", "A4", "A8", "A18", "A23"}
    # a vote of neighbours has no classifier
    assert found("other") - found("other", "knn") == {"A11", "A12", "A13", "A24"}


def test_only_ours_are_listed_when_asked(in_repo):
    probe = parse_cell("table1/patchvae/cifar100-conv5").probes()[0]
    assert readings_of(probe, "ours") == [
        "A4",
        "A9",
        "A10",
        "A12",
        "A13",
        "A18",
        "A19",
        "A22",
        "A24",
    ]


def test_the_keys_are_keys_of_the_protocol_and_name_the_readings_back():
    entries = protocol()
    for reading in readings().values():
        assert set(reading.keys) <= set(entries), reading.id
    for entry in entries.values():
        if entry.reading:
            assert entry.key in readings()[entry.reading].keys
