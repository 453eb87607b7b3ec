"""Rows under other readings: which there are, their addresses, and blocks that are refused."""

from pathlib import Path

import pytest
from small_study import TINY, write_study

from patchvae.errors import ConfigError
from patchvae.paper.readings import keys_behind
from patchvae.study.config import load_study
from patchvae.study.protocol import protocol
from patchvae.study.registry import MODELS
from patchvae.study.runs import Run, resolve_probe, resolve_run
from patchvae.study.tables import asked_cells, load_table, parse_cell, study_cells
from patchvae.study.variants import probe_of, variant_of

RELEASED = {"protocol": "as-released"}
NAME = "N4-d2-prior0.25-bvis10-bapp1"


def with_block(block: str) -> list[str]:
    """The rows of the table `sensitivity` of TINY with a block."""
    write_study("tiny", f"{TINY}sensitivity: {block}\n")
    return [row.key for row in load_table("tiny", "sensitivity").rows()]


def test_an_alternative_has_the_rows_that_it_changes(project: Path) -> None:
    rows = with_block(
        "{rows: [beta-vae, patchvae, patchvae-gan], readings: [A4, A8=tenth, A21=four],"
        " together: [[A4=release, A21=four]]}"
    )
    assert rows == [
        "beta-vae", "patchvae", "patchvae-gan",
        "patchvae,A4=beta-vis-0.3", "patchvae-gan,A4=beta-vis-0.3",
        "patchvae,A4=release", "patchvae-gan,A4=release",
        "patchvae-gan,A8=tenth",
        "beta-vae,A21=four",
        *(f"{row},A4=release,A21=four" for row in ("beta-vae", "patchvae", "patchvae-gan")),
        *(f"{row},as-released" for row in ("beta-vae", "patchvae", "patchvae-gan")),
    ]  # fmt: skip


def test_by_default_every_reading_that_an_accuracy_depends_on(project: Path) -> None:
    rows = with_block("{}")
    named = {row.partition(",")[2].partition("=")[0] for row in rows} - {"", "as-released"}
    # not A14 and A20 (no such trunk or row), A23 (no untrained row), A25 (no accuracy)
    expected = {1, 3, 4, 6, 7, 8, 9, 10, 12, 13, 17, 18, 19, 21, 22, 24}
    assert named == {f"A{i}" for i in expected}
    assert "bigan,A17=release" in rows
    assert "patchvae,A17=release" not in rows


def test_runs_are_those_of_the_main_tables_where_nothing_changed(project: Path) -> None:
    with_block("{rows: [patchvae], readings: [A4=beta-vis-0.3, A12], seeds: [1]}")
    as_is, other, best, released = load_table("tiny", "sensitivity").cells()
    main = parse_cell("tiny/table1/patchvae/parts32-conv5").probes()
    assert as_is.probes() == main[1:]
    assert other.probes() == parse_cell("tiny/table5/beta_vis=0.3/parts32-conv5").probes()[1:]
    assert best.probes()[0].encoder == main[1].encoder
    assert str(best.probes()[0].folder).endswith("/seed1/conv5+probe.report=best")
    assert parse_cell(str(best.path)) == best
    # the table is not among the study's, but its cells are known
    assert "sensitivity" not in {cell.table.name for cell in study_cells("tiny")}
    assert released in asked_cells("tiny")


@pytest.mark.parametrize("model", [name for name in MODELS if name != "external"])
def test_a_run_may_follow_another_protocol(project: Path, model: str) -> None:
    """Its name says so where that changes a key, the study's own values stay, names are unique."""
    study = load_study("tiny")
    variant = variant_of(study, "parts32", model, RELEASED)
    stage = probe_of(study, "parts32", "conv5", RELEASED)
    config = resolve_probe(Run("tiny", "parts32", model, variant, 0), stage)
    for key, value in keys_behind(config).items():
        entry, section, name = protocol().get(key), *key.split(".")
        own = name in study.protocol.get(section, {})
        if entry is not None and entry.released is not None and not own:
            assert value == entry.released, key
    assert config.training.epochs == 4  # the study's
    assert variant.endswith("+protocol=as-released") == (model != "imagenet-pretrained")
    write_study("tiny", TINY.replace("protocol:\n", "protocol:\n  named: as-released\n"))
    followed = load_study("tiny")
    plain = Run("tiny", "parts32", model, variant_of(followed, "parts32", model, {}), 0)
    same = resolve_probe(plain, "conv5")
    assert keys_behind(same) == keys_behind(config)


@pytest.mark.parametrize(
    ("variant", "message"),
    [
        (f"{NAME}+protocol=as-printed", f"is called '{NAME}' in study"),
        (f"{NAME}+protocol=as-fancied", "unknown .*protocol 'as-fancied'.* as-printed, as-rel"),
        (f"{NAME}+protocol=as-released+pretrain.lr=3", "is called .*pretrain.lr=3.protocol=as-rel"),
    ],
)
def test_another_spelling_of_a_protocol_is_refused(
    project: Path, variant: str, message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        resolve_run(Run("tiny", "parts32", "patchvae", variant, 0))


@pytest.mark.parametrize(
    ("block", "message"),
    [
        ("{reading: [A3]}", "sensitivity: Additional properties .*'reading' was unexpected"),
        ("{readings: [3]}", "sensitivity.readings.0: 3 is not of type 'string'"),
        ("{readings: [A3=maen]}", "unknown alternative of A3 'maen': did you mean mean"),
        ("{readings: [A99]}", "unknown reading 'A99'"),
        ("{readings: [A2]}", "A2 has no alternative: Read as printed"),
        ("{readings: [A25]}", "no accuracy depends on A25"),
        ("{rows: [patchvae], readings: [A21]}", "'A21' changes nothing of patchvae"),
        ("{rows: [patchvae], readings: [], protocols: []}", "no alternative changes anything of"),
        ("{rows: [patchva]}", "unknown row of table1 under 'sensitivity' 'patchva'"),
        ("{columns: [conv7]}", "unknown column of table1"),
        ("{datasets: [cifar100]}", "unknown dataset of table1"),
        ("{table: table4}", "unknown table of study 'tiny' 'table4'"),
        ("{seeds: [7]}", "seeds: 7 is none of the study's"),
        ("{protocols: [as-fancied]}", "unknown protocol 'as-fancied'"),
        ("{together: [[A4=release, A1]]}", "A4=release and A1 set model.beta_vis"),
        ("{together: [[A10, A1]]}", "'A10' has 6 alternatives: name one of A10=betas"),
    ],
)
def test_a_bad_block_is_one_line_that_names_its_file(
    project: Path, block: str, message: str
) -> None:
    with pytest.raises(ConfigError, match=rf"^config/tiny\.yaml: .*{message}") as caught:
        with_block(block)
    assert "\n" not in str(caught.value)


def test_a_study_without_the_block_says_what_to_add(project: Path) -> None:
    with pytest.raises(ConfigError, match=r"^config/tiny\.yaml: no block 'sensitivity'"):
        parse_cell("tiny/sensitivity/patchvae/parts32-conv5")
