"""A head that was killed is no obstacle to the next; one that lives, or may live, is."""

import json
import os
import signal
import subprocess
import sys
import time

import psutil
import pytest

RUN = "results/tiny/runs/parts32/patchvae/N16-d6-prior0.0625-bvis0.6-bapp1/seed0/pretrain"
LONG = "pretrain: {epochs: 20, batch_size: 8}"
TARGET = "tables/tiny/table6.tex"
COMMAND = [sys.executable, "-m", "snakemake", "--cores", "1", TARGET]
SLOW = """    shell:
        "python -m patchvae table {params.targets"""  # the rule that makes TARGET


@pytest.fixture
def head(fresh):
    """A head whose one job takes long, once it works."""
    fresh.edit("workflow/rules/tables.smk", SLOW, SLOW.replace("python", "sleep 30; python"))
    with (fresh.folder / "head.log").open("w") as log:
        process = subprocess.Popen(
            COMMAND, cwd=fresh.folder, env=fresh.env, stdout=log, stderr=log, start_new_session=True
        )
    end = time.monotonic() + 60
    while "Select jobs" not in (said := (fresh.folder / "head.log").read_text()):
        assert process.poll() is None, said
        assert time.monotonic() < end, said
        time.sleep(0.05)
    fresh.edit("workflow/rules/tables.smk", "sleep 30; ", "")
    yield process
    process.kill()
    process.wait()


def test_the_lock_of_a_killed_head_is_removed_with_a_line(fresh, head):
    assert list(fresh.folder.glob(".snakemake/locks/*.lock"))
    head.kill()
    head.wait()
    done = fresh.run(*COMMAND[2:])
    assert done.returncode == 0, done.stderr
    assert f"process {head.pid} was killed" in done.stderr
    assert not list(fresh.folder.glob(".snakemake/heads/*"))
    assert not list(fresh.folder.glob(".snakemake/locks/*.lock"))


@pytest.mark.parametrize("stopped", [False, True])
def test_a_head_that_lives_keeps_its_lock(fresh, head, stopped):
    """Also one that is stopped and does nothing."""
    if stopped:
        head.send_signal(signal.SIGSTOP)
    before = sorted(fresh.folder.glob(".snakemake/locks/*.lock"))
    done = fresh.run(*COMMAND[2:])
    assert done.returncode == 1
    assert "cannot be locked" in done.stderr
    assert sorted(fresh.folder.glob(".snakemake/locks/*.lock")) == before
    assert len(list(fresh.folder.glob(".snakemake/heads/*"))) == 1


@pytest.mark.parametrize("known", [False, True])
def test_a_head_that_may_live_elsewhere_keeps_its_lock_and_a_line_says_what_to_do(
    fresh, head, known
):
    """Its record says another machine, or there is none."""
    head.kill()
    head.wait()
    (record,) = fresh.folder.glob(".snakemake/heads/*")
    holder = json.loads(record.read_text()) | {"host": "elsewhere", "boot": "another"}
    record.unlink()
    if known:
        record.write_text(json.dumps(holder))
        os.utime(record, (time.time() - 300,) * 2)  # it gave no sign for so long
    done = fresh.run(*COMMAND[2:])
    assert done.returncode == 1
    assert "cannot be locked" in done.stderr
    (line,) = [line for line in done.stderr.splitlines() if "of an earlier start is left" in line]
    assert ("perhaps of elsewhere process" in line) == known
    assert "--unlock" in line
    assert fresh.run(*COMMAND[2:], "--unlock").returncode == 0
    assert fresh.run(*COMMAND[2:]).returncode == 0


def test_a_training_ends_with_its_killed_head_and_the_next_head_continues_it(fresh):
    """Else it would meet its successor at the lock, or finish what then counts as unfinished."""
    save = '"--save-every", default='
    fresh.edit("patchvae/training/commands.py", f"{save}300.0", f"{save}0.2")
    fresh.edit("config/tiny.yaml", "pretrain: {epochs: 1, batch_size: 32}", LONG)
    command = [*COMMAND[:-2], "2", f"{RUN}/metrics.json"]
    with (fresh.folder / "head.log").open("w") as log:
        head = subprocess.Popen(command, cwd=fresh.folder, env=fresh.env, stdout=log, stderr=log)
    while not list(fresh.folder.glob("results/tiny/state/**/*.pt")):
        assert head.poll() is None, (fresh.folder / "head.log").read_text()
        time.sleep(0.01)
    trainings = psutil.Process(head.pid).children(recursive=True)
    assert trainings
    head.kill()
    head.wait()
    _, alive = psutil.wait_procs(trainings, timeout=20)
    assert not alive
    log = fresh.folder / f"{RUN.replace('results/', 'logs/').replace('/runs', '')}.log"
    assert "stopped by SIGTERM with its state saved" in log.read_text()
    assert not list(fresh.folder.glob(f"{RUN}/metrics.json"))
    done = fresh.run(*command[2:])
    assert done.returncode == 0, done.stderr
    assert "continuing at epoch" in log.read_text()
