"""The audit as Markdown and on a terminal says the same."""

from io import StringIO

import pytest
from rich.console import Console

from patchvae.analysis import audit
from patchvae.report.audit import render_markdown
from patchvae.report.terminal.audit import show


@pytest.fixture(scope="module")
def result():
    return audit.audit()


def test_the_markdown_traces_every_statement_to_cells(result):
    text = render_markdown(result)
    assert "15 of 15 equal" in text
    assert "table1/patchvae-lw/cifar100-conv5 against table1/bigan/cifar100-conv5: -1.03" in text
    assert "table3/num_parts=32/cifar100-conv5 against table3/num_parts=16/cifar100-conv5" in text
    assert "| indoor67 | 13.43 | 14.33 | 14.55 | 13.51 | 1.12 |" in text
    assert "**beta_vis=0.6: nearest overall" in text
    assert text == render_markdown(result)


def test_the_terminal_shows_the_same(result):
    stream = StringIO()
    show(result, Console(file=stream, width=160))
    for expected in ("15 of 15 equal", "bigan/cifar100-conv5: -2.86", "beta_vis=0.6"):
        assert expected in stream.getvalue()
