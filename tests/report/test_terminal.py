"""What commands print, on terminals and in pipes: nothing cut, nothing that cannot be written."""

import os
import shutil
import subprocess
import sys
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console
from small_study import MINI, REPO, write_study

from patchvae.report.terminal.style import Grid, console

LONGEST = "table1/patchvae-gan-lw/places205-conv5"
FRAMES = "│┃┏━─└"


def piped(*arguments, **environment):
    """A real command whose output goes into a pipe, as if the shell had only 60 columns."""
    env = {**os.environ, "PYTHONPATH": str(REPO), "COLUMNS": "60", **environment}
    return subprocess.run(
        [sys.executable, "-m", "patchvae", *arguments], capture_output=True, env=env, check=False
    )


@pytest.mark.parametrize(
    ("command", "whole"),
    [
        ("compare paper", LONGEST),
        ("status", f"paper/{LONGEST}"),
        ("audit", "table8/decoder-patchvae/cifar100"),
        ("power --sd 0.5", "PatchVAE above beta-VAE at Conv3, save on CIFAR100 with plain L2"),
        ("explain table4:2:2", "paper: Tables 6 and 7 (96 = 16 x 6 appearance channels)"),
        ("readings", "beta_vis weighs the KL of the visibilities, beta_app the KL"),
        ("protocol", "model.temperature_floor"),
        ("params", "encoder-patchvae"),
        (
            "forecast demo --budget 1",
            "cells/table1/patchvae-gan-lw/parts32-conv5.json",
        ),
    ],
)
def test_a_pipe_gets_plain_whole_lines(project, command, whole):
    done = piped(*command.split())
    text = done.stdout.decode()
    assert done.returncode == 0, done.stderr
    assert whole in text
    assert "\x1b" not in text
    assert "…" not in text
    assert not set(FRAMES) & set(text)


def test_a_row_of_a_pipe_is_one_line(project):
    row = next(r for r in piped("compare", "paper").stdout.decode().splitlines() if LONGEST in r)
    assert row.split() == [LONGEST, "13.39", "not", "run"]


def test_a_study_without_results_here_shows_its_published_ones(project):
    shutil.copytree(REPO / "published", "published")
    done = piped("compare", "fashion")
    text = done.stdout.decode().splitlines()
    assert done.returncode == 0, done.stderr
    assert text[0] == "Study fashion: 81 done, 45 not run"
    assert text[-1] == (
        "No results of study fashion here: these are its published ones (published/)."
    )
    assert not Path("results").exists()
    Path("results/fashion/cells").mkdir(parents=True)  # as a study that was begun here
    own = piped("compare", "fashion").stdout.decode()
    assert own.splitlines()[0] == "Study fashion: 126 not run"
    assert Path("results/fashion/comparison.md").exists()


def test_a_terminal_folds_what_is_too_long():
    stream = StringIO()
    narrow = Console(file=stream, force_terminal=True, width=30, color_system=None)
    grid = Grid("cell", "ours", title="a study")
    grid.add_row(LONGEST, "13.50")
    narrow.print(grid)
    rows = [line.split("│")[1].strip() for line in stream.getvalue().splitlines() if "│" in line]
    assert "".join(rows) == LONGEST


def test_brackets_and_colons_are_words():
    stream = StringIO()
    grid = Grid("key")
    grid.add_row("[bold]table4:2:2[/bold] :smile:")
    screen = console(stream)
    screen.print(grid)
    screen.print("[red]and so[/red]")
    assert stream.getvalue() == "key\n[bold]table4:2:2[/bold] :smile:\n[red]and so[/red]\n"


def test_a_sign_that_the_terminal_lacks_is_a_question_mark(project):
    write_study("mini", MINI.replace("title: a test", "title: β-VAE, twice"))
    done = piped("status", "mini", PYTHONIOENCODING="ascii")
    assert done.returncode == 0, done.stderr
    assert b"Study mini: ?-VAE, twice" in done.stdout
    wrong = piped("status", "β", PYTHONIOENCODING="ascii")
    assert wrong.returncode == 2
    assert b"'?' is no study or table" in wrong.stderr
