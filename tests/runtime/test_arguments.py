"""Ranges of numbers, stray variables, and what a shell completes, by the real command."""

import os
import subprocess
import sys

import pytest
from small_study import MINI, REPO, write_study

RUN = "tiny/parts32/random/plain/seed0"
ROWS = ("beta_vis=0.06", "beta_vis=0.3", "beta_vis=0.6")
LIMIT = 0.5  # seconds of CPU time between two keys


def run(*arguments, **environment):
    env = {**os.environ, "PYTHONPATH": str(REPO), **environment}
    return subprocess.run(
        [sys.executable, "-m", "patchvae", *arguments],
        capture_output=True, text=True, env=env, check=False,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("command", "line"),
    [
        (f"pretrain {RUN} --threads 99999", "'--threads': 99999 is not in the range"),
        (f"pretrain {RUN} --threads 0", "'--threads': 0 is not in the range"),
        (f"probe {RUN} conv5 --save-every -1", "'--save-every': -1.0 is not in the range"),
        (f"probe {RUN} conv5 --save-every nan", "'--save-every': nan is not a finite number"),
        ("figure tiny/figure1 --threads 0", "'--threads': 0 is not in the range"),
        ("power --sd nan", "'--sd': nan is not a finite number"),
        ("forecast tiny --budget inf", "'--budget': inf is not a finite number"),
    ],
)
def test_what_is_out_of_range_is_one_line(project, command, line):
    done = run(*command.split())
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert line in done.stderr


def test_a_rank_that_another_program_left_is_one_line(project):
    done = run("pretrain", RUN, RANK="1", WORLD_SIZE="2")
    assert done.returncode == 2
    assert done.stderr.startswith("patchvae: error: RANK=1 WORLD_SIZE=2 is left in the environment")
    assert done.stderr.count("\n") == 1


def completed(line):
    """What bash is offered at the end of a line, by click's own protocol."""
    words = line.split(" ")
    env = {
        **os.environ, "PYTHONPATH": str(REPO), "_PATCHVAE_COMPLETE": "bash_complete",
        "COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1),
    }  # fmt: skip
    code = "import sys; sys.argv = ['patchvae']; from patchvae.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=env, check=False
    )
    return [found.partition(",")[2] for found in done.stdout.split()]


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("patchvae compare mi", ["mini"]),
        ("patchvae status mini/ta", [f"mini/table{k}" for k in (4, 5, 6, 7, 8, 9, 10)]),
        ("patchvae status nothing/", []),
        ("patchvae explain mini/table5/", [f"mini/table5/{row}/parts32-conv5" for row in ROWS]),
        ("patchvae explain table5/beta_vis=0.3/", ["table5/beta_vis=0.3/cifar100-conv5",
                                                   "table5/beta_vis=0.3/indoor67-conv5"]),
        ("patchvae status min", ["mini", *(f"mini/table{k}" for k in (4, 5, 6, 7, 8, 9, 10))]),
        ("patchvae explain table4/prior_vis=0.05/i", ["table4/prior_vis=0.05/indoor67-conv5"]),
        ("patchvae cell mini/table4/prior_vis=0.1/", ["mini/table4/prior_vis=0.1/parts32-conv5"]),
        ("patchvae protocol --study mi", ["mini"]),
        ("patchvae stat", ["status"]),
    ],
)  # fmt: skip
def test_a_shell_completes(project, line, found):
    write_study("mini", MINI)
    assert completed(line) == found


def test_completion_is_light_and_fast(project):
    code = (
        "import sys, time; begun = time.process_time(); import patchvae.cli\n"
        "from patchvae.runtime.arguments import complete_cell\n"
        "assert len(complete_cell(None, None, 'table1/bigan/')) == 9\n"
        "assert not {'torch', 'scipy', 'pandas', 'rich'} & set(sys.modules)\n"
        "print(time.process_time() - begun)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert float(done.stdout) < LIMIT
