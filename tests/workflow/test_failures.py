"""Bad input: a clear line, the documented exit code, and nothing taken for a result."""

import shutil

import pytest

PATCHVAE = "N16-d6-prior0.0625-bvis0.6-bapp1"
RUN = f"tiny/parts32/patchvae/{PATCHVAE}/seed0"


@pytest.mark.parametrize(
    ("command", "code", "line"),
    [
        ("pretrain nowhere/parts32/random/plain/seed0", 2, "unknown study 'nowhere'"),
        ("pretrain tiny/parts23/random/plain/seed0", 2,
         "unknown dataset of study 'tiny' 'parts23'"),
        ("pretrain tiny/parts32/patchave/plain/seed0", 2, "unknown model 'patchave'"),
        ("pretrain tiny/parts32/patchvae/N16-d6/seed0", 2, "is no variant of patchvae"),
        ("pretrain tiny/parts32", 2, "names no run"),
        ("probe tiny/parts32/random/plain/seed0 conv4", 2, "unknown probe 'conv4'"),
        ("cell tiny/table5/beta_vis=0.7/parts32-conv5", 2, "unknown row of table5"),
        ("cell tiny/table5/beta_vis=0.6/parts32-conv1", 2, "unknown column of table5"),
        ("cell tiny/table4/prior_vis=0.1/parts32-conv5", 2,
         "unknown table of study 'tiny' 'table4'"),
        ("table tables/tiny/table11.tex", 2, "is no table of study 'tiny'"),
        ("table tables/tiny/table5.tex", 6, "is missing: run its job first"),
        ("prepare parts23", 2, "unknown dataset 'parts23'"),
        ("frobnicate", 2, "No such command 'frobnicate'"),
        ("table tables/tinny/table5.tex", 2, "unknown study 'tinny': did you mean tiny?"),
        ("table tiny/tabel5", 2, "did you mean table5"),
        ("pretraim tiny", 2, "Did you mean 'pretrain'"),
        (f"probe {RUN} conv5", 6, "is missing: run its job first"),
        (f"pretrain {RUN} --data nowhere", 3, "is not prepared under nowhere"),
        (f"pretrain {RUN} --expect 0123", 2, "edited after this job was planned"),
        (f"pretrain {RUN} --device cuda", 2, "PyTorch sees no GPU"),
    ],
)  # fmt: skip
def test_a_wrong_command_says_what_is_wrong(fresh, command, code, line):
    done = fresh.run("patchvae", *command.split())
    assert done.returncode == code, done.stderr
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("patchvae: error: ")
    assert line in last


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ("epochs: 1, batch_size: 32}", "epoch: 1, batch_size: 32}", "'epoch' was unexpected"),
        ("{epochs: 1, batch_size: 32}", "{epochs: 1, lr: 1e-4}", "'1e-4' is not of type 'number'"),
        ("seeds: [0]", "seeds: []", "seeds"),
        ("datasets: {parts32:", "datasets: {parts23: {}, parts32:", "unknown dataset 'parts23'"),
        ("table5: {datasets: [parts32]}", "table5: {datasets: [parts64]}", "does not list"),
        ("without: [beta-vae-lw", "without: [beta-vae-xl", "'beta-vae-xl', which is no row"),
        ("title: a test", "title: [a test", "is not valid YAML"),
    ],
)
def test_a_wrong_study_stops_everything_before_it_starts(fresh, old, new, line):
    fresh.edit("config/tiny.yaml", old, new)
    by_hand = fresh.run("patchvae", "table", "tables/tiny/table1.tex")
    assert by_hand.returncode == 2
    assert line in by_hand.stderr
    planned = fresh.snakemake("--dry-run", "tables/tiny/table1.tex")
    assert planned.returncode == 1
    assert line in planned.stdout + planned.stderr


@pytest.mark.parametrize(
    ("target", "line"),
    [
        ("results/paper/cells/table4/prior_vis=0.5/indoor67-conv5.json", "unknown row of table4"),
        ("results/paper/cells/table4/prior_vis=0.05/places205-conv5.json",
         "unknown column of table4"),
        ("tables/tiny/table4.tex", "unknown table of study 'tiny'"),
        ("tables/tniy/table1.tex", "unknown study 'tniy': did you mean tiny?"),
        ("results/tiny/runs/parts32/patchvae/" + PATCHVAE.replace("N16", "N016")
         + "/seed0/pretrain/metrics.json",
         "is no variant of patchvae"),
        ("results/tiny/runs/parts32/vqvae/plain/seed0/pretrain/metrics.json",
         "unknown model 'vqvae'"),
        ("results/datasets/parts23.json", "unknown dataset 'parts23'"),
    ],
)  # fmt: skip
def test_a_wrong_target_says_what_exists(fresh, target, line):
    done = fresh.snakemake("--dry-run", target)
    assert done.returncode == 1
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("patchvae: error: ")
    assert line in last
    assert len((done.stdout + done.stderr).splitlines()) <= 2  # Snakemake's own names its profile


def test_a_truncated_array_is_named(fresh, data_root, tmp_path):
    assert fresh.run("patchvae", "prepare", "parts32").returncode == 0
    shutil.copytree(data_root / "parts32", tmp_path / "broken" / "parts32")
    array = tmp_path / "broken" / "parts32" / "train.npy"
    array.write_bytes(array.read_bytes()[:-1])
    done = fresh.run("patchvae", "pretrain", RUN, "--data", str(tmp_path / "broken"))
    assert done.returncode == 3
    assert "train.npy" in done.stderr


def test_divergence_ends_its_chain_and_no_other(fresh):
    # SGD on raw cross-entropy with a rate of 1e30 overflows within a few steps; Adam does not care
    fresh.edit("config/tiny.yaml", "probe: {epochs: 1", "probe: {lr: 1.0e+30, epochs: 1")
    run = "results/tiny/runs/parts32/random/plain/seed0"
    probe = f"{run}/conv5/metrics.json"
    done = fresh.snakemake(
        probe, f"{run.replace('random/plain', 'bigan/z96')}/pretrain/metrics.json"
    )
    assert done.returncode == 1
    by_hand = fresh.run("patchvae", "probe", "tiny/parts32/random/plain/seed0", "conv5")
    assert by_hand.returncode == 4
    assert "loss is" in by_hand.stderr
    assert "epoch 1, step" in by_hand.stderr
    assert not (fresh.folder / probe).exists()
    assert not (fresh.folder / run / "conv5" / "predictions.npz").exists()
    assert (
        fresh.folder / "results/tiny/runs/parts32/bigan/z96/seed0/pretrain/metrics.json"
    ).exists()
