"""Every state of a job, each brought about for real or by damage to real result files."""

import os
import re
import signal
import time

import pytest
from click.testing import CliRunner
from made_results import (
    CELL,
    mini_cell,
    write_chain,
    write_stamp,
    write_training,
)
from small_study import MINI, REPO, edit_study, write_study

from patchvae import cli
from patchvae.analysis.cells import summarise
from patchvae.errors import DivergedError, LockedError, ResourceError, StoppedError
from patchvae.planning.jobs import cell_job, jobs_for, with_needs
from patchvae.planning.states import States, cell_state
from patchvae.runtime import failures, lock
from patchvae.runtime.results import write_result
from patchvae.study import paths
from patchvae.study.tables import parse_cell


@pytest.fixture
def mini(project):
    """A working folder with the study `mini`."""
    write_study("mini", MINI)
    return project


def words():
    """kind -> states of its jobs, in order."""
    states, found = States(), {}
    for job in with_needs([cell_job(mini_cell())]):
        found.setdefault(job.kind, []).append(states.of(job).word)
    return found


def all_done():
    return all(word == "done" for found in words().values() for word in found)


def state_of(kind, seed=0):
    states = States()
    jobs = [job for job in with_needs([cell_job(mini_cell())]) if job.kind == kind]
    return states.of(jobs[seed])


def test_nothing_is_started(mini):
    assert words() == {
        "prepare": ["not started"],
        "pretrain": ["not started"] * 2,
        "probe": ["not started"] * 2,
        "cell": ["not started"],
    }


def test_a_finished_chain_is_done_with_its_seconds(mini):
    write_chain(mini_cell())
    assert all_done()
    assert state_of("probe").seconds == 60.0


def test_an_edit_of_a_probe_key_makes_probes_stale_and_names_the_key(mini):
    write_chain(mini_cell())
    edit_study("probe: {epochs: 4", "probe: {epochs: 5", "mini")
    assert words() == {
        "prepare": ["done"],
        "pretrain": ["done"] * 2,
        "probe": ["stale"] * 2,
        "cell": ["stale"],
    }
    assert state_of("probe").detail == "configuration: probe.epochs 4 -> 5"


def test_an_undone_edit_makes_nothing_stale(mini):
    write_chain(mini_cell())
    edit_study("epochs: 4", "epochs: 5", "mini")
    edit_study("epochs: 5", "epochs: 4", "mini")
    assert all_done()


def test_other_code_other_images_and_altered_weights(mini):
    write_chain(mini_cell())
    first, second = (config.encoder for config in mini_cell().probes())
    write_training(first, source_digest="older code")
    (second.run.pretrain / paths.ENCODER).write_text("flipped")
    assert state_of("pretrain", 0).detail == "code"
    assert state_of("pretrain", 1).word == "stale"
    assert state_of("pretrain", 1).detail.startswith("altered: ")
    assert words()["probe"] == ["stale"] * 2
    write_training(first)
    write_stamp(digest="other images")
    assert state_of("pretrain", 0).detail == "images"


def test_a_probe_of_another_encoder_is_stale(mini):
    write_chain(mini_cell())
    config = mini_cell().probes()[0]
    write_training(config, encoder="another")
    assert state_of("probe", 0).detail == "its encoder is another"


def test_a_held_lock_is_a_running_job_and_one_left_behind_a_killed_job(mini):
    write_stamp()
    run = mini_cell().probes()[0].run
    path = paths.lock(run.study, run.name)
    with lock.locked(path):
        state = state_of("pretrain")
        assert state.word == "running"
        assert f"process {os.getpid()}" in state.detail
        long_ago = time.time() - lock.STALE - 5
        os.utime(path, (long_ago, long_ago))  # stopped, but alive: the kernel holds its lock
        assert state_of("pretrain").word == "running"
        held = path.read_text()
    assert state_of("pretrain").word == "not started"
    path.write_text(held)  # what a killed process leaves
    state = state_of("pretrain")
    assert state.word == "failed"
    assert "was killed" in state.detail
    path.write_text("{}")
    assert state_of("pretrain").word == "not started"


def invoke(*arguments):
    return CliRunner().invoke(cli.cli, arguments, standalone_mode=False)


@pytest.fixture
def prepared(mini, parts_root, monkeypatch):
    """The project with the real Parts-32, and its stamp."""
    monkeypatch.setenv("PATCHVAE_DATA", str(parts_root))
    done = invoke("prepare", "parts32", "--stamp", str(paths.prepared("parts32")))
    assert done.exception is None
    return mini


def test_a_stopped_training_has_its_state(prepared, monkeypatch):
    from patchvae.training import phases

    real, calls = phases.update, []

    def update(*arguments):
        calls.append(1)
        if len(calls) == 3:
            os.kill(os.getpid(), signal.SIGTERM)
        return real(*arguments)

    monkeypatch.setattr(phases, "update", update)
    run = mini_cell().probes()[0].run
    assert isinstance(invoke("pretrain", run.name).exception, StoppedError)
    state = state_of("pretrain")
    assert state.word == "stopped"
    assert state.progress == 3 / 10  # 2 epochs of 80 images in batches of 16
    assert "step 3 of 10" in state.detail
    assert invoke("pretrain", run.name).exception is None
    assert state_of("pretrain").word == "done"


def test_a_diverged_probe_is_failed_until_it_succeeds(prepared):
    edit_study("probe: {epochs: 4", "probe: {lr: 1.0e+30, epochs: 4", "mini")
    config = mini_cell().probes()[0]
    assert invoke("pretrain", config.run.name).exception is None
    assert isinstance(invoke("probe", config.run.name, "conv5").exception, DivergedError)
    state = state_of("probe")
    assert state.word == "failed"
    assert state.detail.startswith("exit 4: ")
    assert str(failures.log_path(config.run, "conv5")) in state.detail
    partial = summarise(mini_cell(), partial=True)
    assert [entry["seed"] for entry in partial["failed"]] == [0]  # seed 1 was not run
    assert "exited with 4" in partial["failed"][0]["error"]
    edit_study("lr: 1.0e+30, ", "", "mini")
    assert state_of("probe").word == "not started"  # the failure was of another configuration
    assert invoke("probe", config.run.name, "conv5").exception is None
    assert state_of("probe").word == "done"
    assert not failures.record_path(config.run, "conv5").exists()


@pytest.mark.parametrize(
    ("error", "code"), [(ResourceError("full"), 7), (MemoryError(), 7), (KeyError("x"), 1)]
)
def test_a_failure_is_recorded_with_its_exit_code(mini, error, code):
    config = mini_cell().probes()[0].encoder
    raised = ResourceError if code == 7 else type(error)
    with pytest.raises(raised), failures.recorded(config):
        raise error
    record = failures.failure_of(config)
    assert record["exit_code"] == code
    assert record["log"] == f"logs/{config.run.name}/pretrain.log"


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("CUDA error: out of memory\nCUDA kernel errors might ...", "GPU"),
        ("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`", "GPU"),
        ("[enforce fail at alloc_cpu.cpp:127] DefaultCPUAllocator: can't allocate memory", "main"),
    ],
)
def test_every_way_of_running_out_of_memory_is_known(text, kind):
    message, code = failures.describe(RuntimeError(text))
    assert code == 7
    assert message.startswith(f"out of {kind} memory: ")


@pytest.mark.parametrize("error", [LockedError("other"), StoppedError("saved")])
def test_a_lock_and_a_stop_are_no_failures(mini, error):
    config = mini_cell().probes()[0].encoder
    with pytest.raises(type(error)), failures.recorded(config):
        raise error
    assert failures.failure_of(config) is None


def test_a_failed_pretraining_fails_the_cell(mini):
    write_stamp()
    config = mini_cell().probes()[1]
    with pytest.raises(ResourceError), failures.recorded(config.encoder):
        raise MemoryError
    state = cell_state(States(), cell_job(mini_cell()))
    assert state.word == "failed"
    assert state.detail.startswith(config.run.name)
    why = failures.why_failed(config)
    assert why.startswith("pretrain exited with 7: ")
    assert "out of main memory with batches of 16, " in why


def test_a_cell_of_other_probes_is_stale(mini):
    write_chain(mini_cell())
    path = mini_cell().path
    write_training(mini_cell().probes()[0], top1=30.0)
    assert state_of("cell").detail == "its probes are no longer these"
    path.write_text(path.read_text().replace("20.0", "30.0", 1))
    assert state_of("cell").detail.startswith("altered: ")


def test_cells_done_by_some_seeds_say_so(mini):
    write_stamp()
    config = parse_cell(CELL).probes()[0]
    write_training(config.encoder)
    write_training(config)
    assert cell_state(States(), cell_job(mini_cell())).detail == "1 of 2 seeds probed"


def test_an_altered_record_of_a_failure_is_refused(mini):
    from patchvae.errors import CheckpointError

    config = mini_cell().probes()[0].encoder
    write_result(failures.record_path(config.run, "pretrain"), "probe", {})
    with pytest.raises(CheckpointError, match="not a result of kind 'failure'"):
        failures.failure_of(config)


def test_logs_are_where_the_rules_put_them(mini):
    jobs = with_needs(jobs_for("mini/table5"))
    rules = "".join(path.read_text() for path in (REPO / "workflow" / "rules").glob("*.smk"))
    logs = re.findall(r'"(logs.*?\.log)"', rules)
    logs = [log.replace(".", r"\.").replace("{below}", "(/[^/]+)?") for log in logs]
    patterns = [re.sub(r"\{\w+\}", "[^/]+", log) for log in logs]
    assert {job.kind for job in jobs} == {"prepare", "pretrain", "probe", "cell", "table"}
    for job in jobs:
        assert any(re.fullmatch(pattern, str(job.log)) for pattern in patterns), job.log
