"""`--profile slurm` on a real Slurm: what jobs ask for, and that no interruption changes a byte.

All tests that use Slurm lie in this file: `pytest --dist loadfile` then gives them to one worker.
"""

import csv
import json
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from checkout import Checkout
from head import Head, make_checkout, wait_for_states
from slurm_commands import Slurm
from small_study import REPO

pytestmark = [pytest.mark.slurm, pytest.mark.timeout(900)]

PATCHVAE = "patchvae/N16-d6-prior0.0625-bvis0.6-bapp1/seed0"
RUN = f"results/tiny/runs/parts32/{PATCHVAE}"
LONG = f"results/long/runs/parts32/{PATCHVAE}/pretrain"
LONG_LOG = f"logs/long/parts32/{PATCHVAE}/pretrain.log"
RUN_LOG = f"logs/tiny/parts32/{PATCHVAE}/pretrain.log"
TABLE = "tables/tiny/table5.tex"
PROBES = ("conv1", "conv3", "conv5")
GPU_JOB = ("--gpus=1", "--mem=100")
# no rules of ours: what is shown is the plugin's
ARRAY = """
rule all:
    input: expand("out/{n}", n=range(5))

rule number:
    output: "out/{n}"
    resources: mem_mb=lambda w: 1000 * (int(w.n) + 1)
    shell:
        '''
        if [ $SLURM_ARRAY_TASK_ID = 1 ]; then touch {output}; exit; fi
        first=${{SLURM_ARRAY_JOB_ID}}_1
        until squeue --noheader --states=all --format=%T --jobs $first | grep COMPLETED; do
            sleep 0.5
        done
        exit 1
        '''
"""


@pytest.fixture(scope="module")
def failing(
    tmp_path_factory: pytest.TempPathFactory, one_machine_slurm: None
) -> Iterator[tuple[Checkout, Head]]:
    """A pretraining that diverges, with one retry; beside the others, since heads mostly wait."""
    folder = tmp_path_factory.mktemp("failing")
    checkout = make_checkout(folder, folder / "data")
    checkout.edit("config/tiny.yaml", "pretrain: {epochs: 1,", "pretrain: {lr: 1.0e+30, epochs: 1,")
    head = Head(checkout, f"{RUN}/pretrain/metrics.json", "--retries", "1")
    yield checkout, head
    head.stop()


@pytest.fixture(scope="module")
def submitted(
    tmp_path_factory: pytest.TempPathFactory, failing: tuple[Checkout, Head]
) -> Iterator[tuple[Checkout, Head]]:
    """Table 5 through Slurm, from nothing; it runs while the local one does."""
    folder = tmp_path_factory.mktemp("submitted")
    checkout = make_checkout(folder, folder / "data")
    head = Head(checkout, TABLE)
    yield checkout, head
    head.stop()


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """Table 5 and the long pretraining, run on this machine without Slurm."""
    folder = tmp_path_factory.mktemp("local")
    checkout = make_checkout(folder, folder / "data")
    done = checkout.snakemake(TABLE, f"{LONG}/metrics.json")
    assert done.returncode == 0, done.stdout + done.stderr
    return checkout


@pytest.fixture
def checkout(tmp_path: Path, local: Checkout) -> Checkout:
    """A checkout in which nothing but the preparation of the data has run."""
    made = make_checkout(tmp_path / "checkout", Path(local.env["PATCHVAE_DATA"]))
    shutil.copytree(local.folder / "results" / "datasets", made.folder / "results" / "datasets")
    return made


def contents(folder: Path, pattern: str) -> dict[str, bytes]:
    found = {str(path.relative_to(folder)): path.read_bytes() for path in folder.glob(pattern)}
    assert found, f"nothing matches {pattern} in {folder}"
    return found


def times(metrics: Path) -> tuple[str, str]:
    """When the job behind a result began and ended."""
    provenance = json.loads(metrics.read_text())["provenance"]
    return provenance["started"], provenance["ended"]


def history(folder: Path) -> list[dict[str, str]]:
    """The rows of history.csv without the one column that is a speed."""
    with (folder / LONG / "history.csv").open() as file:
        rows = list(csv.DictReader(file))
    return [{k: v for k, v in row.items() if k != "images_per_second"} for row in rows]


def assert_resumed(checkout: Checkout) -> None:
    assert "continuing at epoch" in (checkout.folder / LONG_LOG).read_text()


def assert_same_training(ours: Checkout, undisturbed: Checkout) -> None:
    pattern = f"{LONG}/*.safetensors"
    assert contents(ours.folder, pattern) == contents(undisturbed.folder, pattern)
    assert history(ours.folder) == history(undisturbed.folder)
    assert not list(ours.folder.glob("results/*/state/**/*.pt"))


def submit_packed(slurm: Slurm, checkout: Checkout, *targets: str) -> str:
    """The id of a job that makes targets by two trainings at a time (docs/cluster.md)."""
    path = f"{Path(sys.executable).parent}:{checkout.env['PATH']}"
    command = (
        "sbatch",
        "--parsable",
        "-p",
        "gpu",
        "--cpus-per-task=2",
        "--mem=8000",
        "-t",
        "60",
    )
    script = str(REPO / "scripts" / "slurm-packed.sh")
    done = subprocess.run(
        [*command, "--output=packed.log", script, *targets], cwd=checkout.folder, text=True,
        env={**checkout.env, "PATH": path, "PATCHVAE_RUNS_PER_GPU": "2"}, capture_output=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    slurm.submitted.append(job := done.stdout.strip())
    return job


def test_two_gpu_jobs_get_different_devices_and_a_third_waits(slurm: Slurm, tmp_path: Path) -> None:
    script = 'echo "device=$CUDA_VISIBLE_DEVICES."; sleep 120'
    logs = [tmp_path / f"{name}.log" for name in ("first", "second")]
    # both ways of asking that docs/cluster.md names
    first = slurm.submit(script, logs[0], *GPU_JOB)
    second = slurm.submit(script, logs[1], "--gres=gpu:1", "--mem=100")
    seen = {slurm.wait_for_text(log, ".\n").strip() for log in logs}
    assert seen == {"device=0.", "device=1."}

    third_log = tmp_path / "third.log"
    third = slurm.submit(script, third_log, *GPU_JOB)
    slurm.wait_for_reason(third, "Resources")
    slurm.command("scancel", second)
    slurm.wait_for_text(third_log, ".\n")
    assert slurm.job(first).state == "RUNNING"


def test_cells_weights_and_predictions_equal_those_of_a_local_run(
    submitted: tuple[Checkout, Head], local: Checkout
) -> None:
    assert submitted[1].wait() == 0, submitted[1].text()
    ours = submitted[0].folder
    for pattern in (
        "tables/tiny/*",
        "results/tiny/runs/**/*.safetensors",
        "results/tiny/runs/**/predictions.npz",
    ):
        assert contents(ours, pattern) == contents(local.folder, pattern)
    for name, content in contents(ours, "results/tiny/cells/**/*.json").items():
        here, there = json.loads(content), json.loads((local.folder / name).read_text())
        assert here["values"] == there["values"]
        assert here["mean"] == there["mean"]


def test_jobs_ask_for_what_their_rules_say(submitted: tuple[Checkout, Head]) -> None:
    """One dataset without a GPU, two runs and two probes with one; cells and tables stay here."""
    assert submitted[1].wait() == 0, submitted[1].text()
    asked = submitted[1].asked()
    kinds = [call["--comment"].split("_")[1] for call in asked]
    assert sorted(kinds) == ["prepare", "pretrain", "pretrain", "probe", "probe"]
    wanted = {"prepare": ("4000", "240"), "pretrain": ("8000", "480"), "probe": ("16000", "240")}
    for kind, call in zip(kinds, asked, strict=True):
        assert (call["--mem"], call["-t"]) == wanted[kind]
        assert call["--cpus-per-task"] == "1"
        assert call.get("--gpus") == (None if kind == "prepare" else "1")
        assert call["-p"] == "gpu"
        assert call["--signal"] == "TERM@120"
        assert "--requeue" in call
    cell = f"tiny_parts32_{PATCHVAE.replace('/seed', '_').replace('/', '_')}"
    assert f"rule_pretrain_wildcards_{cell}" in [call["--comment"] for call in asked]


def test_three_probes_share_one_job_with_one_gpu(
    submitted: tuple[Checkout, Head], local: Checkout, slurm: Slurm
) -> None:
    """The options of docs/cluster.md; conv5 is made anew and equals the one made in its own job."""
    assert submitted[1].wait() == 0, submitted[1].text()
    folder = submitted[0].folder
    (folder / RUN / "conv5" / "metrics.json").unlink()
    head = Head(
        submitted[0],
        *(f"{RUN}/{probe}/metrics.json" for probe in PROBES),
        *("--groups", "probe=share", "--group-components", "share=3"),
        *("--set-resource-scopes", "gpu=local", "--resources", "gpu=1"),
    )
    assert head.wait() == 0, head.text()
    (call,) = head.asked()
    assert (call["--gpus"], call["--mem"], call["-t"]) == ("1", "16000", "720")
    (job,) = head.job_ids()
    assert re.search(r"TresPerJob=gres.gpu:1\b", slurm.command("scontrol", "show", "job", job))
    spans = sorted(times(folder / RUN / probe / "metrics.json") for probe in PROBES)
    assert [begun >= ended for (_, ended), (begun, _) in pairwise(spans)] == [True, True]
    pattern = f"{RUN}/conv5/predictions.npz"
    assert contents(folder, pattern) == contents(local.folder, pattern)


def test_a_requeued_pretraining_ends_as_if_undisturbed(
    slurm: Slurm, checkout: Checkout, local: Checkout
) -> None:
    head = Head(checkout, f"{LONG}/metrics.json")
    try:
        job = head.wait_for_job()
        wait_for_states(checkout.folder)
        slurm.command("scontrol", "requeue", job)
        assert head.wait() == 0, head.text()
    finally:
        head.stop()
    assert head.job_ids() == [job], "the job ran again under its id, without a retry"
    assert_resumed(checkout)
    assert_same_training(checkout, local)


def test_a_preempted_pretraining_ends_as_if_undisturbed(
    slurm: Slurm, checkout: Checkout, local: Checkout, tmp_path: Path
) -> None:
    head = Head(checkout, f"{LONG}/metrics.json", PATCHVAE_PARTITION="preempt")
    try:
        head.wait_for_job()
        wait_for_states(checkout.folder)
        high = tmp_path / "high.log"
        slurm.submit("echo preempted; sleep 1", high, "--partition=gpu", "--gpus=2", "--mem=100")
        assert head.wait() == 0, head.text()
    finally:
        head.stop()
    assert "preempted" in high.read_text()
    assert "stopped by SIGTERM with its state saved" in head.text()
    assert_resumed(checkout)
    assert_same_training(checkout, local)


def test_two_trainings_share_the_gpu_of_one_job_and_resume_with_it(
    slurm: Slurm, checkout: Checkout, local: Checkout
) -> None:
    note = '"echo ${{SLURM_RESTART_COUNT:-0}}:$CUDA_VISIBLE_DEVICES >> devices; exec '
    checkout.edit("workflow/rules/pretrain.smk", '"exec ', note)
    job = submit_packed(slurm, checkout, f"{LONG}/metrics.json", TABLE)
    wait_for_states(checkout.folder, at_least=5)  # the long one: the others have two steps
    slurm.command("scontrol", "requeue", job)
    asked = slurm.command("scontrol", "show", "job", job)
    assert re.search(r"TresPerJob=gres.gpu:1\b", asked)
    assert re.search(r"NumCPUs=2\b", asked)
    ended = slurm.wait(job, "COMPLETED", "FAILED", seconds=300)
    assert (ended.state, ended.restarts) == ("COMPLETED", 1), (
        checkout.folder / "packed.log"
    ).read_text()

    assert_resumed(checkout)
    assert_same_training(checkout, local)
    for pattern in ("tables/tiny/*", "results/tiny/runs/**/predictions.npz"):
        assert contents(checkout.folder, pattern) == contents(local.folder, pattern)
    spans = sorted(times(path) for path in checkout.folder.glob("results/*/runs/**/metrics.json"))
    # in whole seconds; one after the other they would be further apart, by the time to import torch
    assert any(begun <= ended for (_, ended), (begun, _) in pairwise(spans)), spans
    devices = [line.split(":") for line in (checkout.folder / "devices").read_text().split()]
    for start in "01":  # at least two trainings in the first start; one device in each
        assert len({device for begun_in, device in devices if begun_in == start}) == 1
    assert [start for start, _ in devices].count("0") >= 2
    (run,) = checkout.folder.glob(f"{LONG}/metrics.json")
    assert json.loads(run.read_text())["provenance"]["runs_per_gpu"] == 2


def test_a_grace_time_that_ends_before_the_state_is_saved_costs_only_what_came_after_the_last(
    slurm: Slurm, checkout: Checkout, local: Checkout, tmp_path: Path
) -> None:
    """While a file `slow` exists no write ends: SIGTERM, the grace time, SIGKILL, requeue."""
    sync = "                os.fsync(file.fileno())\n"
    hang = f'                while os.path.exists("slow"):\n    {sync}'
    checkout.edit("patchvae/runtime/results.py", sync, sync + hang)
    slow, log = checkout.folder / "slow", checkout.folder / LONG_LOG
    head = Head(checkout, f"{LONG}/metrics.json", PATCHVAE_PARTITION="preempt")
    try:
        job = head.wait_for_job()
        wait_for_states(checkout.folder)
        slow.touch()
        high = tmp_path / "high.log"
        slurm.submit("echo preempted; sleep 1", high, "--partition=gpu", "--gpus=2", "--mem=100")
        slurm.wait_for_text(high, "preempted", seconds=120)
        slow.unlink()
        assert head.wait() == 0, head.text()
    finally:
        head.stop()
    assert head.job_ids() == [job], "the job ran again under its id, without a retry"
    assert "stopped by" not in log.read_text()
    assert_resumed(checkout)
    assert_same_training(checkout, local)


def test_a_job_that_preemption_cancelled_is_queued_again(
    slurm: Slurm, checkout: Checkout, local: Checkout, tmp_path: Path
) -> None:
    """PreemptMode=CANCEL without a grace time: Slurm kills the job and leaves it PREEMPTED."""
    checkout.edit("patchvae/runtime/cluster.py", "LOOK = 30.0", "LOOK = 3.0")
    update = ("scontrol", "update", "PartitionName=preempt")
    slurm.command(*update, "PreemptMode=CANCEL", "GraceTime=0")
    head = Head(checkout, f"{LONG}/metrics.json", PATCHVAE_PARTITION="preempt")
    try:
        job = head.wait_for_job()
        wait_for_states(checkout.folder)
        high = tmp_path / "high.log"
        slurm.submit("echo preempted; sleep 1", high, "--partition=gpu", "--gpus=2", "--mem=100")
        assert head.wait() == 0, head.text()
    finally:
        head.stop()
        slurm.command(*update, "PreemptMode=REQUEUE", "GraceTime=10")
    assert f"Slurm job {job} was preempted: queued again" in head.text()
    assert head.job_ids() == [job], "the job ran again under its id, without a retry"
    assert_resumed(checkout)
    assert_same_training(checkout, local)


def test_the_jobs_of_a_killed_head_do_not_meet_those_of_the_next(
    slurm: Slurm, checkout: Checkout, local: Checkout
) -> None:
    head = Head(checkout, f"{LONG}/metrics.json")
    job = head.wait_for_job()
    slurm.submitted.append(job)
    wait_for_states(checkout.folder)
    head.process.kill()
    head.process.wait()
    again = Head(checkout, f"{LONG}/metrics.json")
    assert again.wait() == 1
    assert "patchvae: error: jobs of an earlier start in this folder" in again.text()
    assert again.text().strip().endswith(f"scancel {job}")
    assert again.job_ids() == []
    slurm.wait(job, "COMPLETED", seconds=300)
    last = Head(checkout, f"{LONG}/metrics.json")
    assert last.wait() == 0, last.text()
    assert last.job_ids() == [], "what the job of the killed head made counts"
    assert_same_training(checkout, local)


def test_a_failed_job_asks_for_more_on_its_next_attempt_and_its_log_is_named(
    failing: tuple[Checkout, Head],
) -> None:
    checkout, head = failing
    assert head.wait() == 1, head.text()
    _, first, second = head.asked()  # after the preparation of the data
    assert (first["--mem"], first["-t"]) == ("8000", "480")
    assert (second["--mem"], second["-t"]) == ("16000", "960")
    log = checkout.folder / RUN_LOG
    assert "lower the learning rate" in log.read_text()
    assert f"Logfile {RUN_LOG}:" in head.text()
    assert "lower the learning rate" in head.text()
    for job in head.job_ids()[1:]:
        (slurm_log,) = (checkout.folder / "logs" / "slurm" / "rule_pretrain").rglob(f"{job}.log")
        assert f"Logfile {slurm_log}:" in head.text()
        assert RUN_LOG in slurm_log.read_text()


def test_a_job_killed_for_its_memory_gets_more_and_ends_as_if_undisturbed(
    slurm: Slurm, checkout: Checkout, local: Checkout
) -> None:
    """Some 800 MB, of which the first attempt gets 500: Slurm kills it, Snakemake asks for more."""
    little = "mem_mb=lambda w, attempt: 500"
    checkout.edit("workflow/rules/pretrain.smk", "mem_mb=lambda w, attempt: 8000", little)
    head = Head(checkout, f"{LONG}/metrics.json")
    assert head.wait() == 0, head.text()
    *killed, last = head.job_ids()
    assert killed
    assert [call["--mem"] for call in head.asked()] == [
        str(500 * attempt) for attempt in range(1, len(killed) + 2)
    ]
    for job in killed:
        assert slurm.job(job).state in ("FAILED", "OUT_OF_MEMORY")
        (log,) = (checkout.folder / "logs" / "slurm").rglob(f"{job}.log")
        assert f"StepId={job}.0 exceeded memory limit" in (said := log.read_text())
        assert "Trying to restart" not in said  # it would have the same memory again
    assert slurm.job(last).state == "COMPLETED"
    assert_same_training(checkout, local)


def array_head(folder: Path, *options: str) -> Head:
    """A head whose five jobs of one rule shall be an array."""
    shutil.copytree(REPO / "slurm", folder / "slurm")
    (folder / "Snakefile").write_text(ARRAY)
    checkout = Checkout(folder, folder)
    checkout.env["PATCHVAE_POLL"] = "3"
    no_wait = ("--max-jobs-per-timespan", "1000/1s")  # at the end, as drop_timers has it
    return Head(checkout, "all", *no_wait, "--retries", "0", "--slurm-array-jobs", "all", *options)


def test_why_arrays_are_refused_a_failed_task_deletes_what_the_first_has_made(
    slurm: Slurm, tmp_path: Path
) -> None:
    """Once the plugin has been mended this fails: then arrays may be tried again."""
    head = array_head(tmp_path, "--latency-wait", "1")
    try:
        assert head.wait() == 1, head.text()
    finally:
        head.stop()
    (array,) = re.findall(r"SLURM job ID (\d+)", head.text())
    assert slurm.job(f"{array}_1").state == "COMPLETED"
    assert not list(tmp_path.glob("out/*"))
    # five jobs that ask for 1000 to 5000 MB all get what the first asks for
    (memory,) = re.findall(r"array job with sbatch call: .* --mem (\d+)", head.text())
    assert int(memory) < 5000
    assert "log not found" in head.text()


def test_why_arrays_are_refused_jobs_are_never_submitted(slurm: Slurm, tmp_path: Path) -> None:
    """Two may be in the queue, three more are ready: the plugin drops the two."""
    head = array_head(tmp_path, "--jobs", "2")
    try:
        slurm.wait_for_text(head.output, "Array job collection incomplete")
        time.sleep(15)
        assert head.process.poll() is None
        assert "Submitted array job" not in head.text()
        assert head.job_ids() == []
    finally:
        head.process.kill()  # it has no job, and may not answer to Ctrl-C
        head.process.wait()
