"""docs/differences.md names keys and tests that exist."""

import re
from pathlib import Path

from small_study import REPO

from patchvae.config import protocol

TEXT = (REPO / "docs" / "differences.md").read_text()


def test_every_item_names_a_test_that_exists() -> None:
    items = re.split(r"\n(?=\d+\. \*\*)", TEXT)[1:]
    assert len(items) == 32
    for item in items:
        named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", item)
        assert named or "The same test" in item, item
        for path, name in named:
            assert f"def {name}(" in (REPO / path).read_text(), f"{path}::{name}"


def test_every_key_exists(in_repo: Path) -> None:
    keys = set(re.findall(r"`((?:model|adversarial|pretrain|probe)\.\w+)`", TEXT))
    assert keys <= set(protocol())
    assert len(keys) > 10
