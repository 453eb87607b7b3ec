"""Forecasts against arithmetic by hand."""

import os
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch
import yaml
from click.testing import CliRunner
from made_results import mini_cell, write_chain, write_stamp, write_training
from small_study import MINI, REPO, write_study

from patchvae import cli
from patchvae.errors import ConfigError
from patchvae.models.trunk import Trunk
from patchvae.planning import throughput
from patchvae.planning.budget import fit
from patchvae.planning.estimates import MEASURED, RECORDED, Estimate, disk_bytes
from patchvae.planning.forecast import Forecast, forecast
from patchvae.planning.jobs import Job, jobs_for
from patchvae.planning.makespan import makespan
from patchvae.planning.throughput import OUTPUTS, Device, cached, choose, device, overhead
from patchvae.report.terminal.forecast import lines
from patchvae.study.registry import ARCHITECTURES, MODELS, PROBES
from patchvae.study.runs import Run, resolve_probe, resolve_run
from patchvae.training import features

TOY = Device(
    name="toy", match="cpu", hardware="a toy", measured=True, n=3, date="2026-01-01",
    start=2.0, inside=1.0, past=[],
    pretrain={32: {"patchvae": (50.0, 100.0, 200.0)}},
    prefix={32: {"conv5": (100.0, 200.0, 400.0)}},
    train={32: {"conv5": (160.0, 320.0, 640.0)}},
    evaluate={32: {"conv5": (50.0, 100.0, 200.0)}},
)  # fmt: skip
EXTRA = TOY.start + overhead("job")


@pytest.fixture
def mini(project):
    write_study("mini", MINI)
    return project


def seconds_of(found, kind):
    return [found.estimates[job].seconds for job in found.remaining if job.kind == kind]


def test_throughput_by_hand(mini):
    config = mini_cell().probes()[0]
    # 2 epochs of 80 images at 100 a second, and one second around them
    assert TOY.seconds(config.encoder) == pytest.approx((1.8, 2.6, 4.2))
    # flips: 160 + 40 images through the frozen stages at 200, 4 x 80 trained at 320,
    # 5 x 40 evaluated at 100
    assert TOY.seconds(config)[1] == pytest.approx(1 + 1 + 1 + 2)


def test_further_probes_take_what_conv5_and_the_distances_take(mini):
    config = mini_cell().probes()[0]
    standardised, knn = (resolve_probe(config.run, n) for n in ("conv5-standardised", "knn"))
    assert TOY.seconds(standardised) == TOY.seconds(config)
    # 80 + 40 images at 200 a second; 80 x 40 distances, 256 of them like one image judged,
    # at 100 a second
    assert TOY.seconds(knn)[1] == pytest.approx(1 + 120 / 200 + 3200 / 256 / 100)


def test_unknown_rates_give_no_seconds(mini):
    config = mini_cell().probes()[0]
    assert TOY.seconds(resolve_probe(config.run, "conv3")) is None
    assert replace(TOY, n=0).seconds(config) is None
    assert device("h100").seconds(config) is None


def test_features_are_kept_where_the_probe_keeps_them(in_repo):
    assert throughput.CACHE_BYTES == features.CACHE_BYTES
    plain = Run("paper", "cifar100", "beta-vae", "z96-beta1", 0)
    # 64 x 8 x 8 floats of 50,000 images: 0.8 GB; of 2 x 2,448,873 images of 16 x 16 cells: 321 GB
    assert cached(resolve_probe(plain, "conv1"))
    assert not cached(resolve_probe(replace(plain, dataset="places205"), "conv1"))
    assert not cached(resolve_probe(plain, "scratch"))


def test_outputs_are_the_trunk_s():
    trunk = Trunk("resnet9").eval()
    for stage, (channels, stride) in OUTPUTS.items():
        frozen, _ = trunk.split(stage)
        with torch.no_grad():
            shape = trunk.through(torch.zeros(1, 3, 32, 32), frozen).shape
        assert shape == (1, channels, 32 // stride, 32 // stride)


def test_every_model_and_probe_was_measured_on_the_cpu():
    cpu = device("cpu")
    trained = {name for name, m in MODELS.items() if ARCHITECTURES[m.architecture].trained}
    for size in (32, 64):
        assert cpu.pretrain[size].keys() == trained
        for table in (cpu.prefix, cpu.train, cpu.evaluate):
            assert table[size].keys() == {p.frozen or "scratch" for p in PROBES.values()}
            assert all(low <= middle <= high for low, middle, high in table[size].values())


def test_what_is_left_and_how_long_it_takes(mini):
    write_stamp()
    found = forecast([str(mini_cell().path)], TOY, 1)
    assert [job.kind for job in found.remaining] == ["pretrain", "probe"] * 2 + ["cell"]
    assert seconds_of(found, "pretrain") == pytest.approx([2.6 + EXTRA] * 2)
    assert seconds_of(found, "probe") == pytest.approx([5 + EXTRA] * 2)
    total = 2 * (7.6 + 2 * EXTRA)
    assert found.hours() == pytest.approx(total / 3600)
    cell = overhead("cell") + overhead("job")
    assert found.wall() == pytest.approx(overhead("workflow") + total + cell)
    two = forecast([str(mini_cell().path)], TOY, 2)
    assert two.wall() == pytest.approx(overhead("workflow") + total / 2 + cell)


def test_recorded_runs_come_before_throughput(mini):
    write_stamp()
    for name, seconds in (("beta_vis=0.06", 10.0), ("beta_vis=0.6", 20.0)):
        for config in jobs_for(f"mini/table5/{name}/parts32-conv5")[0].cell.probes():
            write_training(config.encoder, wall_seconds=seconds)
    found = forecast(["mini/table5"], TOY, 1)
    left = [job for job in found.remaining if job.kind == "pretrain"]
    assert {job.name.split("bvis")[1].split("-")[0] for job in left} == {"0.3"}
    estimate = found.estimates[left[0]]  # the median of 10, 10, 20, 20 and their range
    assert estimate.basis == RECORDED
    assert (estimate.low, estimate.seconds, estimate.high) == pytest.approx(
        (10 + EXTRA, 15 + EXTRA, 20 + EXTRA)
    )
    probes = [found.estimates[job].basis for job in found.remaining if job.kind == "probe"]
    assert probes == [MEASURED] * 6


def test_runs_of_another_device_do_not_count(mini):
    write_stamp()
    config = mini_cell().probes()[0].encoder
    write_training(config, provenance={"device": "NVIDIA H100 80GB HBM3"}, wall_seconds=1.0)
    found = forecast([str(mini_cell().path)], TOY, 1)
    assert seconds_of(found, "pretrain") == pytest.approx([2.6 + EXTRA])


def test_how_forecasts_did(mini):
    write_chain(mini_cell())  # each took 60 s; the throughput says 2.6 s and 5 s
    first, second = forecast(["mini/table5"], TOY, 1).checks
    assert first.ratios == (1.0,) * 4
    assert sorted(second.ratios) == pytest.approx([60 / 5] * 2 + [60 / 2.6] * 2)
    assert second.sentence.startswith(
        "4 finished trainings took 17.54 times what the rates of 'toy'"
    )


def test_nothing_is_left_of_what_is_done(mini):
    write_chain(mini_cell())
    found = forecast([str(mini_cell().path)], TOY, 1)
    assert found.remaining == ()
    assert lines(found) == ["Left to do: nothing"]


def plain_jobs():
    """A takes 4 s, B 2 s, C 3 s after A, D 5 s after B, E 1 s after C and D."""

    def job(name, *needs):
        return Job("probe", name, target=None, log=None, needs=needs)

    a, b = job("A"), job("B")
    c, d = job("C", a), job("D", b)
    return [a, b, c, d, job("E", c, d)], {"A": 4.0, "B": 2.0, "C": 3.0, "D": 5.0, "E": 1.0}


@pytest.mark.parametrize(("slots", "end"), [(1, 15.0), (2, 8.0), (3, 8.0)])
def test_makespan_by_hand(slots, end):
    jobs, named = plain_jobs()
    assert makespan(jobs, {job: named[job.name] for job in jobs}, slots) == end


def test_kinds_without_slots_run_beside(mini):
    jobs, named = plain_jobs()
    seconds = {job: named[job.name] for job in jobs}
    assert makespan(jobs, seconds, 1, ("pretrain",)) == 8.0  # the longest chain: 2 + 5 + 1


def test_budget_takes_the_cheapest_chain_and_counts_shared_runs_once(in_repo):
    run = "paper/cifar100/{}/seed0"

    def job(kind, name, *needs):
        return Job(kind, name, target=None, log=None, needs=needs, config=None)

    shared, dear = job("pretrain", run.format("a")), job("pretrain", run.format("b"))
    probes = [job("probe", f"{shared.name}/{k}", shared) for k in ("conv1", "conv5")]
    other = job("probe", f"{dear.name}/conv5", dear)
    cells = [job("cell", name, p) for name, p in zip("xyz", (*probes, other), strict=True)]
    hours = {shared: 4, dear: 6, probes[0]: 3, probes[1]: 1, other: 0.5}
    estimates = {j: Estimate(3600.0 * h, 0, 0, MEASURED) for j, h in hours.items()}
    found = Forecast(TOY, 1, (*hours, *cells), 0, estimates, 0, (), tuple(cells))
    # y: 4 + 1; then x adds 3 (its pretraining is bought), z would add 6.5
    order = [(c.cell.name, c.hours, c.spent) for c in fit(found, 8.0)]
    assert order == [("y", 5.0, 5.0), ("x", 3.0, 8.0)]
    assert [c.cell.name for c in fit(found, 14.5)] == ["y", "x", "z"]
    assert fit(found, 4.9) == []


def test_a_cell_of_unknown_cost_fits_no_budget(mini):
    write_stamp()
    found = forecast(["mini/table5"], TOY, 1)
    unknown = replace(found, estimates={})
    assert fit(unknown, 1e9) == []
    assert len(fit(found, 1e9)) == 3


def test_disk_by_hand(in_repo):
    images = jobs_for("results/paper/runs/cifar100/random/plain/seed0")[0].needs[0]
    assert disk_bytes(images) == 60_000 * 32 * 32 * 3
    run = resolve_run(Run("paper", "cifar100", "patchvae", "N16-d6-prior0.0625-bvis0.6-bapp1", 0))
    job = jobs_for(f"{run.run.folder}/pretrain")[0]
    # float32: the trunk twice (encoder.safetensors and within model.safetensors)
    assert disk_bytes(job) > 2 * 4 * 683_072


def test_an_unmeasured_gpu_gets_no_hours(in_repo):
    found = forecast(["tables/table4.tex"], device("h100"), 4)
    assert not found.complete
    text = "\n".join(lines(found))
    assert "No hours: nothing was recorded or measured on 'h100'" in text
    assert "15 x pretrain at 32 px" in text
    assert "GPU hours" not in text


def test_a_device_computed_from_another_says_so(mini):
    write_stamp()
    computed = replace(TOY, name="gpu", measured=False)
    text = "\n".join(lines(forecast(["mini/table5"], computed, 1)))
    assert "12 x computed, not measured" in text


@pytest.mark.parametrize("target", ["nothing", "tables/demo/table11.tex", "demo/table1/x/y"])
def test_a_target_that_does_not_exist_is_an_error(in_repo, target):
    with pytest.raises(ConfigError):
        forecast([target], TOY, 1)


def test_the_command(project):
    write_study("mini", MINI)
    done = CliRunner().invoke(cli.cli, ["forecast", "mini", "--cores", "2", "--budget", "1"])
    assert done.exception is None
    assert "Wall time on 2 cores: " in done.output
    assert "6 of 6 cells fit 1 hours" in done.output


def asked(*arguments):
    """What `patchvae forecast` prints, or its error."""
    done = CliRunner().invoke(cli.cli, ["forecast", "mini", *arguments], standalone_mode=False)
    return done.exception or done.output


def test_gpus_are_gpus_and_what_was_not_measured_says_what_to_run(mini):
    text = asked("--gpus", "4")
    assert "No hours: nothing was recorded or measured on 'h100'" in text
    assert "on a machine with that GPU: python benchmarks/throughput.py --device cuda" in text
    assert "--sizes 32 > rates.yaml" in text
    assert "core" not in text


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ("--gpu abacus", "unknown device 'abacus'"),
        ("--gpu cpu --gpus 2", "'cpu' is no GPU: count its cores by --cores"),
        ("--gpu h100 --cores 2", "'h100' is a GPU: give --gpus instead of --cores"),
        ("--rates two.yaml", "has several devices: choose by --gpu one of a100, l4"),
        ("--rates bad.yaml", "bad.yaml: devices.a100.n: 'three' is not of type 'integer'"),
        ("--rates none.yaml", "none.yaml does not exist"),
    ],
)
def test_a_wrong_device_is_one_line(mini, arguments, line):
    entry = {**rates(), "match": "a100"}
    write_rates("two.yaml", a100=entry, l4=entry)
    write_rates("bad.yaml", a100={**entry, "n": "three"})
    error = asked(*arguments.split())
    assert isinstance(error, ConfigError)
    assert line in str(error)


def rates():
    """TOY as a file of rates has it."""
    found = {k: v for k, v in asdict(TOY).items() if k not in ("name", "past", "packing")}
    for part in ("pretrain", "prefix", "train", "evaluate"):
        found[part] = {32: {name: list(rate) for name, rate in found[part][32].items()}}
    return found


def write_rates(name, **devices):
    (Path.cwd() / name).write_text(yaml.safe_dump({"devices": devices}))


def test_a_file_of_rates_brings_its_gpu(mini):
    write_stamp()
    write_rates("rates.yaml", a100={**rates(), "match": "a100", "hardware": "an A100"})
    text = asked("--gpus", "2", "--rates", "rates.yaml")
    assert "Wall time on 2 GPUs: " in text
    assert "Rates of 'a100': an A100, n = 3, 2026-01-01" in text
    by_hand = forecast(["mini"], replace(TOY, name="a100", match="a100"), 2)
    assert f"Trainings: {by_hand.hours():.2f} GPU hours" in text


def test_the_script_writes_a_file_of_rates(mini):
    """The benchmark itself, with one step, on the CPU; its output is read as it is."""
    command = [sys.executable, str(REPO / "benchmarks" / "throughput.py"), "--sizes", "32"]
    command += ["--batch", "4", "--steps", "1", "--repeat", "1"]
    env = {**os.environ, "PYTHONPATH": str(REPO)}
    with open("rates.yaml", "w") as file:
        subprocess.run(command, stdout=file, env=env, check=True, timeout=300)
    chosen, cores = choose(None, None, 3, Path("rates.yaml"))
    assert (chosen.name, chosen.match, chosen.n, cores) == ("cpu", "cpu", 1, 3)
    assert chosen.pretrain[32].keys() == device("cpu").pretrain[32].keys()
    assert chosen.seconds(mini_cell().probes()[0]) is not None
    assert "Wall time on 3 cores" in asked("--cores", "3", "--rates", "rates.yaml")


def test_trainings_that_share_a_gpu(mini):
    write_stamp()
    packed = replace(TOY, name="gpu", packing={2: 1.6})
    alone, found = (forecast([str(mini_cell().path)], packed, 1, runs) for runs in (1, 2))
    assert found.hours() == pytest.approx(alone.hours() / 1.6)
    # both seeds at once: each training takes 2 / 1.6 times as long
    chain = (7.6 + 2 * EXTRA) * 2 / 1.6 + overhead("cell") + overhead("job")
    assert found.wall() == pytest.approx(overhead("workflow") + chain)
    assert found.estimates == alone.estimates
    (one,), (two,) = fit(alone, 1e9), fit(found, 1e9)
    assert two.hours == pytest.approx(one.hours / 1.6)
    assert "2 trainings at a time on a GPU: 1.60 times the rate of one, measured" in lines(found)


def test_an_unmeasured_packing_promises_nothing(mini):
    write_stamp()
    gpu = replace(TOY, name="gpu")
    alone, found = (forecast([str(mini_cell().path)], gpu, 1, runs) for runs in (1, 2))
    assert found.hours() == alone.hours()
    # two at half the rate end when one after the other would
    total = sum(e.seconds for job, e in alone.estimates.items() if job.kind != "cell")
    assert found.wall() == pytest.approx(
        overhead("workflow") + total + overhead("cell") + overhead("job")
    )
    (text,) = (line for line in lines(found) if "at a time" in line)
    assert "never measured on 'gpu'" in text


def test_a_run_that_shared_its_gpu_counts_as_alone(mini):
    write_stamp()
    config = mini_cell().probes()[0].encoder
    provenance = {"device": "cpu", "runs_per_gpu": 4}
    write_training(config, provenance=provenance, wall_seconds=20.0)
    for packing, seconds in (({4: 2.0}, 10.0), ({}, 2.6)):
        gpu = replace(TOY, name="gpu", packing=packing)
        found = forecast([str(mini_cell().path)], gpu, 1, 1)
        assert seconds_of(found, "pretrain") == pytest.approx([seconds + EXTRA])


def test_cores_are_not_shared(in_repo):
    command = ["forecast", "tables/table4.tex", "--runs-per-gpu", "2"]
    done = CliRunner().invoke(cli.cli, command)
    assert isinstance(done.exception, ConfigError)
    gpu = CliRunner().invoke(cli.cli, [*command, "--gpu", "h100"])
    assert gpu.exception is None


def test_the_script_that_measures_packing():
    """Real processes side by side, on the CPU; what they print goes into throughput.yaml."""
    command = [sys.executable, "benchmarks/throughput.py", "--sizes", "32", "--batch", "4"]
    command += ["--steps", "1", "--repeat", "1", "--packing", "1", "2"]
    done = subprocess.run(command, cwd=REPO, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    gains = yaml.safe_load(done.stdout)["packing"]
    assert replace(TOY, packing=gains).gain(2) == gains[2] > 0


def test_sensitivity_counts_what_is_not_trained_already(mini):
    """Two alternatives of PatchVAE's: one has runs of its own, one only probes."""
    block = "{table: table5, rows: [beta_vis=0.6], readings: [A12, A18], protocols: []}"
    write_study("mini", f"{MINI}sensitivity: {block}\n")
    (page,) = jobs_for("results/mini/sensitivity.html")
    assert page.command == "patchvae sensitivity mini"
    found = forecast([str(page.target)], TOY, 1)
    kinds = [job.kind for job in found.remaining]
    assert {kind: kinds.count(kind) for kind in kinds} == {
        "prepare": 1, "pretrain": 4, "probe": 6, "cell": 3, "sensitivity": 1,
    }  # fmt: skip
    both = forecast(["tables/mini/table5.tex", str(page.target)], TOY, 1)
    alone = forecast(["tables/mini/table5.tex"], TOY, 1)
    # seconds of a pretraining and of a probe are those of test_throughput_by_hand
    assert 3600 * (both.hours() - alone.hours()) == pytest.approx(
        2 * (2.6 + EXTRA) + 4 * (5 + EXTRA)
    )
    told = CliRunner().invoke(cli.cli, ["status", "mini/sensitivity"])
    assert told.exit_code == 0, told.output
    assert "sensitivity/beta_vis=0.6,A18=stop/parts32-conv5" in told.output
