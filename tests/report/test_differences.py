"""docs/differences.md is the page that the data makes; the data names keys and tests that exist."""

from pathlib import Path

from small_study import REPO

from patchvae.report.differences import Item, ours, release, render_markdown
from patchvae.study.protocol import protocol
from patchvae.study.readings import readings


def items() -> list[Item]:
    return [item for section in release().values() for item in section] + ours()


def test_the_page_is_current(in_repo: Path) -> None:
    assert (in_repo / "docs" / "differences.md").read_text() == render_markdown()


def test_every_item_names_a_test_that_exists() -> None:
    for item in items():
        assert item.tests, item.what
        for named in item.tests:
            path, name = named.split("::")
            assert f"def {name}(" in (REPO / path).read_text(), named


def test_every_item_has_a_key_that_exists_or_says_why_not(in_repo: Path) -> None:
    for item in items():
        assert bool(item.keys) != bool(item.why), item.what
        assert set(item.keys) <= set(protocol()), item.what
        assert set(item.readings) <= set(readings()), item.what


def test_everything_that_the_release_does_otherwise_is_on_the_page(in_repo: Path) -> None:
    named = {key for section in release().values() for item in section for key in item.keys}
    assert {key for key, entry in protocol().items() if entry.released is not None} <= named
