"""The machine: device, signals, provenance and seeds."""

import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
import torch
from small_study import REPO, tiny_run

from patchvae.errors import ConfigError, StoppedError
from patchvae.numerics.seeds import derive_seed
from patchvae.runtime.machine import (
    GIVEN,
    Options,
    emulates_bf16,
    now,
    pick_device,
    provenance,
    warn_of_emulated_bf16,
)
from patchvae.runtime.stop import STOP_SIGNALS, StopRequest, stop_on_signal

GOLDEN = (4446603415860310472, 4514755700383370789)


def test_a_gpu_that_is_not_there_is_not_replaced_silently(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    for name in GIVEN:
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(ConfigError, match="use --device cpu"):
        pick_device("cuda")
    assert pick_device("auto") == pick_device("cpu") == torch.device("cpu")


@pytest.mark.parametrize(
    ("flags", "emulated"),
    [
        ("fpu sse2 avx512f avx512_vnni", True),
        ("fpu avx512f avx512_bf16", False),
        ("fpu avx2 amx_tile amx_bf16", False),
        ("fp asimd sve bf16", False),
        ("", False),  # not Linux
    ],
)
def test_which_cpus_emulate_bf16(flags: str, emulated: bool) -> None:
    assert emulates_bf16(flags) is emulated


def test_this_cpu_is_judged_by_what_linux_says(capfd: pytest.CaptureFixture[str]) -> None:
    known = Path("/proc/cpuinfo").read_text().split()
    warn_of_emulated_bf16("fp32", "cpu")
    assert capfd.readouterr().err == ""
    warn_of_emulated_bf16("bf16", "cpu")
    said = capfd.readouterr().err
    assert ("emulated" in said) == (not {"avx512_bf16", "amx_bf16", "bf16"} & set(known))


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without a GPU")
@pytest.mark.parametrize(
    ("name", "value", "code"),
    [
        *[(name, "1", 7) for name in GIVEN],
        *[("SLURM_JOB_GPUS", "0", 7), ("CUDA_VISIBLE_DEVICES", "GPU-8932f937-d72c", 7)],
        # no GPU was given, as on a laptop: goes on, to the images that are not there
        *[("SLURM_GPUS", "0", 3), ("CUDA_VISIBLE_DEVICES", "", 3), ("SLURM_JOB_ID", "17", 3)],
        *[("CUDA_VISIBLE_DEVICES", "-1", 3), ("CUDA_VISIBLE_DEVICES", "NoDevFiles", 3)],
    ],
)
def test_a_job_that_was_given_a_gpu_never_trains_on_the_cpu_unasked(
    name: str, value: str, code: int, project: Path
) -> None:
    run = tiny_run("beta-vae")
    env = {key: kept for key, kept in os.environ.items() if key not in GIVEN} | {name: value}
    command = [sys.executable, "-m", "patchvae", "pretrain", run.name]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stderr
    line = done.stderr.splitlines()[-1]
    assert (f"given a GPU ({name}={value}), but PyTorch sees none" in line) == (code == 7)
    if code == 7:
        assert torch.__version__ in line
        assert "driver" in line
        done = subprocess.run([*command, "--device", "cpu"], env=env, capture_output=True)
        assert done.returncode == 3


@pytest.mark.parametrize("name", ["gpu", "tpu", "", "cpu;ls"])
def test_an_unknown_device_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="auto, cpu or cuda"):
        pick_device(name)


@pytest.mark.parametrize("number", STOP_SIGNALS)
def test_a_signal_asks_for_a_stop_and_handlers_are_put_back(number: signal.Signals) -> None:
    before = [signal.getsignal(n) for n in STOP_SIGNALS]
    with stop_on_signal() as stop:
        assert not stop
        stop.defer()
        os.kill(os.getpid(), number)
        assert stop
        assert stop.name == number.name
    assert [signal.getsignal(n) for n in STOP_SIGNALS] == before


def test_a_signal_before_anything_needs_saving_ends_the_job_once() -> None:
    with stop_on_signal() as stop:
        with pytest.raises(StoppedError, match="stopped by SIGUSR1 before the first step"):
            os.kill(os.getpid(), signal.SIGUSR1)
        os.kill(os.getpid(), signal.SIGTERM)  # while it ends: nothing interrupts its leave
        assert stop.name == "SIGTERM"


def test_seeds_are_a_fixed_function_of_their_words() -> None:
    """Golden values: another function would silently make another experiment of every seed."""
    assert derive_seed(0, "init") == GOLDEN[0]
    assert derive_seed(3, "pretrain", 17) == GOLDEN[1]


def test_seeds_of_different_words_differ_and_fit_torch() -> None:
    words = [(k, w, e) for k in range(5) for w in ("init", "noise", "probe") for e in range(20)]
    seeds = [derive_seed(*word) for word in words]
    assert len(set(seeds)) == len(seeds)
    assert all(0 <= seed < 2**63 for seed in seeds)
    torch.manual_seed(max(seeds))
    assert (
        len({derive_seed(0), derive_seed("init"), derive_seed(0, "init"), derive_seed("init", 0)})
        == 4
    )


def test_provenance_names_the_machine_and_the_code() -> None:
    record = provenance(now(), Options(device="cpu"))
    assert torch.__version__.startswith(record["versions"]["torch"])
    assert record["threads"] == torch.get_num_threads()
    assert record["device"] == "cpu"
    assert record["peak_memory_mib"] > 10
    assert record["resident_memory_mib"] >= record["peak_memory_mib"]  # on a CPU the same
    assert record["host"]["cores"] == os.cpu_count()
    head = subprocess.run(
        ["git", "-C", str(REPO), "rev-parse", "HEAD"], capture_output=True, text=True, check=False
    )
    assert record["git"]["commit"] == head.stdout.strip()


def test_provenance_does_without_git() -> None:
    code = "from patchvae.runtime.machine import provenance; print(provenance('')['git'])"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=REPO, env={"PATH": ""}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.stdout.strip() == "{'commit': '', 'dirty': False}", done.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("pretrain", "tiny/parts32/vae/plain/seed0"), 2, "unknown model 'vae'"),
        (("pretrain", "tiny/parts32/random/plain/seed0\nx"), 2, "names no run"),
        (("pretrain", "tiny/../random/plain/seed0"), 2, "choose one of parts32"),
        (("pretrain", "tiny/parts32/random/$(touch pwned)/seed0"), 2, "is no variant of random"),
        (("probe", "tiny/parts32/random/plain/seed0", "conv2"), 2, "unknown probe 'conv2'"),
        (("cell", "tiny/table1/bigan/parts32-conv5;ls"), 2, "unknown column"),
        (("cell", "tiny/table1/bigan/parts32-conv5"), 6, "is missing: run its job first"),
        (("pretrain", "tiny/parts32/random/plain/seed0", "--data", "no"), 3, "patchvae prepare"),
        (("pretrain", "tiny/parts32/random/plain/seed0", "--threads", "two"), 2, "threads"),
        (("pretrain", "tiny/parts32/random/plain/seed0", "--expect", "0"), 2, "edited after"),
    ],
)  # fmt: skip
def test_errors_are_one_line_and_their_exit_code(
    project: Path, arguments: tuple[str, ...], code: int, words: str
) -> None:
    from processes import Job

    job = Job(project, *arguments)
    assert job.wait() == code, job.text()
    lines = job.text().strip().splitlines()
    assert len(lines) == 1, job.text()
    assert lines[0].startswith("patchvae: error: ")
    assert words in lines[0]
    assert not (project / "pwned").exists()


def test_the_module_is_the_command() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "patchvae", "--help"],
        cwd=REPO, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0
    for command in ("prepare", "pretrain", "probe", "cell", "table", "params", "protocol"):
        assert command in done.stdout
    assert "75 stopped on request" in " ".join(done.stdout.split())


def test_a_stop_whose_exception_was_swallowed_ends_the_job_before_its_first_step() -> None:
    stop = StopRequest()
    with suppress(StoppedError):  # as an import does that tries what it can do without
        stop.receive(signal.SIGUSR1, None)
    with pytest.raises(StoppedError, match="stopped by SIGUSR1 before the first step"):
        stop.defer()


def test_a_stop_during_the_loop_is_only_noted() -> None:
    stop = StopRequest()
    stop.defer()
    stop.receive(signal.SIGTERM, None)
    stop.defer()
    assert stop.name == "SIGTERM"
