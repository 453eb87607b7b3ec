"""Exact job sets: what a target plans, and what an edit makes stale."""

import re

import pytest

TINY = ("tables/tiny/table1.tex", "tables/tiny/table5.tex")
CELL = "results/paper/cells/table4/prior_vis=0.05/indoor67-conv5.json"


def test_table1_of_the_paper_plans_every_cell_once(fresh):
    # 10 rows x 3 datasets x 3 probes, 5 seeds each; a run serves its three probes
    assert fresh.planned("tables/table1.tex") == {
        "prepare": 3,
        "pretrain": 150,
        "probe": 450,
        "cell": 90,
        "table": 1,
    }


def test_a_run_that_several_tables_need_is_trained_once(fresh):
    # 10 rows on 3 datasets; besides the default, 4 N + 2 d_p + 3 priors + 2 beta_vis on 2 datasets
    tables = [f"tables/table{n}.tex" for n in (1, 3, 4, 5)]
    assert fresh.planned(*tables) == {
        "prepare": 3,
        "pretrain": 5 * (30 + 22),
        "probe": 5 * (90 + 22),
        "cell": 90 + 16 + 6 + 6,
        "table": 4,
    }


def test_a_new_table_is_one_file_and_one_line_in_a_study(fresh):
    (fresh.folder / "config/tables/depth.yaml").write_text(
        "table: depth\ncaption: Two sizes\ncolumns: [{key: conv3, probe: conv3}]\npanels:\n"
        "  - header: Model\n    groups: [[{model: patchvae, set: {num_parts: 8}}, "
        "{model: bigan}]]\n"
    )
    fresh.edit(
        "config/tiny.yaml",
        "  table5: {datasets: [parts32]}",
        "  table5: {datasets: [parts32]}\n  depth: {datasets: [parts32]}",
    )
    assert fresh.planned("tables/tiny/depth.tex") == {
        "prepare": 1, "pretrain": 2, "probe": 2, "cell": 2, "table": 1,
    }  # fmt: skip
    assert fresh.planned("tables/tiny/depth.tex", "tables/tiny/table7.tex")["table"] == 1
    cell = "tiny/depth/num_parts=8/parts32-conv3"
    explained = fresh.run("patchvae", "explain", cell)
    assert explained.returncode == 0, explained.stderr
    # PatchVAE's on its own, on a small trunk, on labelled images only
    found = set(re.findall(r"\bA[0-9]+\b", explained.stdout))
    assert found >= {"A1", "A4", "A9", "A13", "A18", "A22"}
    assert not found & {"A6", "A8", "A14", "A16", "A21"}


@pytest.mark.parametrize("name", ["table6", "posterior"])
def test_a_table_cannot_take_the_name_of_another(fresh, name):
    (fresh.folder / f"config/tables/{name}.yaml").write_text("table: x\n")
    fresh.edit(
        "config/tiny.yaml",
        "  table5: {datasets: [parts32]}",
        f"  {name}: {{datasets: [parts32]}}",
    )
    done = fresh.run("patchvae", "cell", f"tiny/{name}/bigan/parts32-conv3")
    assert done.returncode == 2
    assert f"config/tables/{name}.yaml: another table is called '{name}'" in done.stderr


def test_all_published_accuracies_are_planned(fresh):
    tables = [f"tables/table{n}.tex" for n in (1, 2, 3, 4, 5)]
    assert fresh.planned(*tables)["cell"] == 128


def test_one_ablation_cell_plans_only_its_chain(fresh):
    assert fresh.planned(CELL) == {"prepare": 1, "pretrain": 5, "probe": 5, "cell": 1}


def test_architecture_tables_train_nothing(fresh):
    tables = [f"tables/table{n}.tex" for n in range(6, 11)]
    assert fresh.planned(*tables) == fresh.planned(tables[3]) == {"architecture_tables": 1}


def test_finished_tables_are_left_alone(finished):
    assert finished.planned(*TINY) == {}


@pytest.mark.parametrize(
    ("path", "old", "new", "planned"),
    [
        pytest.param(
            "config/tables/table5.yaml", "beta_vis: 0.3", "beta_vis: 0.2",
            {"pretrain": 1, "probe": 1, "cell": 1, "table": 1},
            id="the middle row of table 5",
        ),
        pytest.param(
            "config/tiny.yaml", "probe: {epochs: 1", "probe: {epochs: 2",
            # 3 rows x 3 probes and 2 further rows of table 5; 9 + 3 cells
            {"probe": 11, "cell": 12, "table": 2},
            id="a probe's key",
        ),
        pytest.param(
            "config/tiny.yaml", "pretrain: {epochs: 1",
            "model: {temperature: 0.9}\n  pretrain: {epochs: 1",
            # the default and two further values of beta_vis; neither beta-VAE nor BiGAN
            {"pretrain": 3, "probe": 5, "cell": 6, "table": 2},
            id="a key of PatchVAE alone",
        ),
        pytest.param(
            "patchvae/models/bigan.py", "return encoder + generator,",
            "return encoder + 2 * generator,",
            {"pretrain": 1, "probe": 3, "cell": 3, "table": 2},
            id="BiGAN's code",
        ),
        pytest.param(
            "patchvae/training/phases.py", '"""The only unsupervised loop',
            '# a comment\n"""Some unsupervised loop',
            {},
            id="a comment and a docstring",
        ),
    ],
)  # fmt: skip
def test_an_edit_reruns_what_it_concerns(edited, path, old, new, planned):
    edited.edit(path, old, new)
    assert edited.planned(*TINY) == planned


def test_further_columns_plan_and_make_exactly_their_probes(edited):
    edited.edit(
        "config/tiny.yaml",
        "table5: {datasets: [parts32]}",
        "table5: {datasets: [parts32], columns: [conv5-standardised, knn]}",
    )
    # 3 rows x 2 probes of encoders that are there
    assert edited.planned(*TINY) == {"probe": 6, "cell": 6, "table": 1}
    done = edited.snakemake(TINY[1])
    assert done.returncode == 0, done.stdout + done.stderr
    assert edited.planned(*TINY) == {}
    cells = (edited.folder / "results/tiny/cells/table5/beta_vis=0.3").iterdir()
    assert {path.stem for path in cells} == {
        f"parts32-{probe}" for probe in ("conv5", "conv5-standardised", "knn")
    }
    assert "Parts-32 kNN†" in (edited.folder / "tables/tiny/table5.md").read_text()


def test_sensitivity_plans_what_the_tables_do_not_have(edited):
    edited.edit(
        "config/tiny.yaml",
        "tables:\n  table1:",
        "sensitivity: {rows: [beta-vae, patchvae], readings: [A4=beta-vis-0.3, A12, A21=four]}\n"
        "tables:\n  table1:",
    )
    page = "results/tiny/sensitivity.html"
    # 2 rows as they are and 1 (A4), 2 (A12), 1 (A21), 2 (as-released) changed ones; Table 5 has the
    # run of A4 with its probe, Table 1 those of A12, which has probes of its own
    assert edited.planned(page) == {
        "pretrain": 3, "probe": 5, "cell": 8, "figures_sensitivity": 1, "sensitivity": 1,
    }  # fmt: skip
    alone = "results/tiny/cells/sensitivity/patchvae,as-released/parts32-conv5.json"
    assert edited.planned(alone) == {"pretrain": 1, "probe": 1, "cell": 1}
    # neither the tables nor the study's own page ask for any of it
    assert edited.planned(*TINY) == {}
    every = edited.planned("tiny")
    assert (every.get("pretrain"), "sensitivity" in every) == (None, False)
    done = edited.snakemake(alone)
    assert done.returncode == 0, done.stdout + done.stderr
    told = edited.run("patchvae", "explain", "tiny/sensitivity/patchvae,as-released/parts32-conv5")
    assert told.returncode == 0, told.stderr
    assert "user (config/tiny.yaml, row patchvae,as-released)" in told.stdout
    assert "tiny/sensitivity/patchvae,as-released" in told.stdout
    assert edited.planned(page)["pretrain"] == 2
    wrong = edited.snakemake("--dry-run", page.replace("tiny", "demo"))
    assert "config/demo.yaml: no block 'sensitivity'" in wrong.stdout + wrong.stderr


def test_gpus_per_run_are_asked_for_and_rerun_nothing(edited):
    edited.edit("config/tiny.yaml", "test: 100}", "test: 100, gpus_per_run: 2}")
    assert edited.planned(*TINY) == {}
    run = "results/tiny/runs/parts32/beta-vae/z96-beta2/seed0"
    probe = f"{run}/conv5/metrics.json"
    done = edited.snakemake("--dry-run", probe)
    assert done.returncode == 0, done.stderr
    jobs = [line for line in done.stdout.splitlines() if "gpu=" in line]
    assert len(jobs) == 2
    assert all("gpu=2" in line for line in jobs)
    # an untrained encoder needs one process, its probe two
    done = edited.snakemake(
        "--dry-run", run.replace("beta-vae/z96-beta2", "random/plain") + "/conv1/metrics.json"
    )
    assert sorted(
        line.split("gpu=")[1][0] for line in done.stdout.splitlines() if "gpu=" in line
    ) == ["1", "2"]
