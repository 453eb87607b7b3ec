"""Every dataset's module is what the preparation asks of it."""

import inspect

import pytest

from patchvae.data.source import Source, module_of
from patchvae.study.registry import DATASETS


@pytest.mark.parametrize("name", DATASETS)
def test_a_datasets_module_is_a_source(name: str) -> None:
    module = module_of(DATASETS[name])
    assert type(module.FORM) is int
    assert type(module.RESUMABLE) is bool
    wanted = [p for p in inspect.signature(Source.prepare_into).parameters if p != "self"]
    found = inspect.signature(module.prepare_into).parameters
    assert [*found][:3] == wanted[:3]
    assert all(p.default is not p.empty for p in [*found.values()][3:])


def test_only_datasets_that_decode_for_hours_continue_what_was_stopped() -> None:
    resumable = {name for name, facts in DATASETS.items() if module_of(facts).RESUMABLE}
    assert resumable == {"indoor67", "places205", "imagenet"}
