"""The status of a study: counts, hours, what is stale and what no table asks for."""

import re
from io import StringIO

import pytest
from click.testing import CliRunner
from made_results import CELL, mini_cell, write_chain, write_training
from rich.console import Console
from small_study import MINI, edit_study, write_study

from patchvae import cli
from patchvae.analysis.compare import compare_study
from patchvae.errors import ConfigError, ResourceError
from patchvae.planning.status import status, status_of
from patchvae.report.tables import write_table
from patchvae.report.terminal.follow import follow, progress
from patchvae.report.terminal.status import cost_lines, show
from patchvae.report.terminal.style import console
from patchvae.runtime import failures, lock
from patchvae.study import paths
from patchvae.study.runs import Run, resolve_run


@pytest.fixture
def mini(project):
    write_study("mini", MINI)
    write_chain(mini_cell())
    return project


def test_counts_by_hand(mini):
    # tables 4 and 5: six rows of one cell each, 0.6 of table 5 being the default; two seeds
    found = status("mini")
    assert found.counts("pretrain") == {
        "done": 2, "running": 0, "stopped": 0, "failed": 0, "stale": 0, "not started": 10
    }  # fmt: skip
    assert found.counts("cell")["done"] == 1
    assert [job.name for job, state in found.cells if state.word == "done"] == [CELL]
    assert found.finished("pretrain") == (2, 2 / 60)  # a minute each
    assert found.unused == ()


def test_one_table(mini):
    assert len(status("mini", "table4").cells) == 3
    assert status("mini", "table4").counts("cell")["not started"] == 3


def test_an_edit_s_cost(mini):
    before = cost_lines(status("mini"))
    assert before == [
        "At stake: an edit of a key of any section but `probe` costs up to 0.07 h"
        " (2 pretrainings and the 2 probes on them), one of a `probe` key up to 0.03 h."
    ]
    edit_study("lr: 1.0e-3", "lr: 2.0e-3", "mini")
    lines = cost_lines(status("mini"))
    assert lines[0].startswith("Stale: 4 finished trainings, which took 0.07 h")
    assert "  2 x configuration: pretrain.lr 0.001 -> 0.002" in lines


def test_runs_that_no_table_asks_for(mini):
    other = "mini/parts32/patchvae/N4-d2-prior0.25-bvis0.7-bapp1/seed0"
    write_training(resolve_run(Run.parse(other)), wall_seconds=7200.0)
    found = status("mini")
    assert found.unused == ((f"{other}/pretrain", 7200.0),)
    assert "no table of the study: 1 (which took 2.00 h)" in cost_lines(found)[-1]


def fail_one_of(row):
    """One failed seed of a cell whose other seed was not run."""
    config = resolve_run(Run.parse(f"mini/parts32/patchvae/N4-d2-prior{row}-bvis0.6-bapp1/seed0"))
    with pytest.raises(ResourceError), failures.recorded(config):
        raise MemoryError


def test_failed_cells_in_status_comparison_and_partial_table(mini):
    fail_one_of("0.01")
    words = {job.name: state.word for job, state in status("mini").cells}
    assert words["mini/table4/prior_vis=0.01/parts32-conv5"] == "failed"
    assert words["mini/table4/prior_vis=0.05/parts32-conv5"] == "not started"
    rows = {str(row.key): row for row in compare_study("mini").rows}
    failed = rows["table4/prior_vis=0.01/parts32-conv5"]
    assert (failed.word, list(failed.failed)) == ("failed", [0])
    assert rows["table4/prior_vis=0.05/parts32-conv5"].word == "not run"
    assert rows["table5/beta_vis=0.3/parts32-conv5"].word == "done"
    write_table("mini", "table4", partial=True)
    text = (mini / "tables" / "mini" / "table4.md").read_text()
    assert text.count("| failed |") == 1
    assert text.count("| not run |") == 2
    assert "3 of 3 cells lack seeds, 1 of them because jobs failed" in text


def test_the_commands_print_them(mini):
    for command in (
        ["status", "mini"],
        ["status", "mini/table5"],
        ["status", "tables/mini/table5.tex"],
    ):
        done = CliRunner().invoke(cli.cli, command, standalone_mode=False)
        assert done.exception is None
        assert "Study mini: a test" in done.output
    done = CliRunner().invoke(cli.cli, ["compare", "mini"], standalone_mode=False)
    assert done.exception is None
    assert (mini / "results" / "mini" / "comparison.html").exists()


@pytest.mark.parametrize(
    ("target", "line"),
    [
        ("minni", "'minni' is no study or table: did you mean mini?"),
        ("mini/tabel5", "did you mean table5"),
        ("minni/table5", "unknown study 'minni': did you mean mini?"),
    ],
)
def test_a_wrong_target_of_status(mini, target, line):
    with pytest.raises(ConfigError) as error:
        status_of(target)
    assert line in str(error.value)


def test_a_table_of_the_paper_by_its_name_alone(in_repo):
    assert {job.cell.table.name for job, _ in status_of("table4").cells} == {"table4"}


def test_progress_by_hand(mini):
    # 27 jobs: images, 10 + 2 pretrainings and probes, and six cells, one of which is done
    running = mini_cell().probes()[0].encoder.run
    other = resolve_run(Run.parse(running.name.replace("bvis0.3", "bvis0.6")))
    assert progress(status("mini")).endswith("h of trainings left, none is running")
    with lock.locked(paths.lock("mini", other.run.name)):
        line = progress(status("mini"))
    # 10 pretrainings and 10 probes are left, a minute each
    assert line == "6 of 31 done, 1 running, 0 failed, some 0.33 h left with 1 at a time"
    fail_one_of("0.01")
    assert "0 running, 1 failed" in progress(status("mini"))


def test_watching_a_finished_table_prints_a_line_and_ends(mini):
    for seed_chain in status("mini", "table5").cells:
        write_chain(seed_chain[0].cell)
    stream = StringIO()
    follow("mini/table5", 0.1, console(stream))
    assert re.fullmatch(
        r"\d\d:\d\d:\d\d mini/table5: (\d+) of \1 done, 0 running, 0 failed, no training left\n",
        stream.getvalue(),
    )


def test_the_list_names_every_cell(mini):
    console = Console(file=StringIO(), width=160)
    show(status("mini"), console)
    assert console.file.getvalue().count("-conv5") == 6
