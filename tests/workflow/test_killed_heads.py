"""A head that was killed is no obstacle to the next; one that lives, or may live, is."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

TARGET = "tables/tiny/table6.tex"
COMMAND = [sys.executable, "-m", "snakemake", "--cores", "1", TARGET]
SLOW = """    shell:
        "python -m patchvae table """  # the rule that makes TARGET


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
