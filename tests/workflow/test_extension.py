"""Each recipe of docs/extending.md, played in a checkout: the files it touches, and that it runs.

What the recipes write stands in the page itself, so that the page and this test cannot differ.
"""

import json
import re

import pytest
from checkout import PARTS, REPO, Checkout

PAGE = (REPO / "docs" / "extending.md").read_text(encoding="utf-8")
REGISTRY, PROTOCOL = "patchvae/study/registry.py", "config/protocol.yaml"
STUDY = """\
study: mine
title: a test
seeds: [0]
datasets: {{parts32: {{train: 64, test: 50}}}}
protocol:
  pretrain: {{epochs: 1, batch_size: 32}}
  probe: {{epochs: 1, batch_size: 32}}
tables: {tables}
"""
ALL = "[beta-vae, beta-vae-lw, beta-vae-gan, beta-vae-gan-lw, patchvae, patchvae-lw, patchvae-gan,"
ALL += " patchvae-gan-lw, bigan, imagenet-pretrained]"


def blocks(heading: str) -> dict[str, str]:
    """What a section of the page says to write, by the file that the line above it names."""
    section = re.search(rf"^## {heading}\n(.*?)(?=^## |\Z)", PAGE, re.DOTALL | re.MULTILINE)
    assert section is not None, heading
    block = r"^.*`([^`\s]+/[^`\s]+\.\w+)`.*:\n\n```\w+\n((?s:.*?))```"
    found = re.findall(block, section[1], re.MULTILINE)
    assert found, heading
    return dict(found)


def register(checkout: Checkout, table: str, lines: str) -> None:
    """Put an entry of the page at the end of a table of the registry."""
    path = checkout.folder / REGISTRY
    text = path.read_text()
    end = text.index("\n)\n", text.index(f"{table} = (")) + 1
    indented = "".join(f"    {line}\n" for line in lines.splitlines())
    path.write_text(f"{text[:end]}{indented.rstrip()},\n{text[end:]}")


def changed(checkout: Checkout) -> set[str]:
    """The project's files that differ from the repository's or are not in it, but studies."""
    found = set()
    for part in PARTS:
        root = checkout.folder / part
        for path in [root, *root.rglob("*")]:
            name = path.relative_to(checkout.folder)
            if not path.is_file() or "__pycache__" in path.parts:
                continue
            theirs = REPO / name
            if not theirs.is_file() or theirs.read_bytes() != path.read_bytes():
                found.add(str(name))
    return found - {"config/tiny.yaml", "config/mine.yaml"}


def write_study(checkout: Checkout, tables: str) -> None:
    (checkout.folder / "config" / "mine.yaml").write_text(STUDY.format(tables=tables))


def make(checkout: Checkout, *targets: str) -> None:
    done = checkout.snakemake(*targets)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_study_is_a_target(fresh):
    fresh.edit("config/tiny.yaml", "study: tiny", "study: my-tiny")
    (fresh.folder / "config" / "tiny.yaml").rename(fresh.folder / "config" / "my-tiny.yaml")
    dashed, plain = fresh.planned("my-tiny"), fresh.planned("my_tiny")
    assert dashed.pop("my-tiny") == plain.pop("my_tiny") == 1
    assert dashed == plain
    assert dashed["report_page"] == dashed["comparison"] == 1


def test_a_hyper_parameter_touches_three_files_and_trains(fresh):
    recipe = blocks("A hyper-parameter")
    model = "patchvae/models/patchvae.py"
    assert recipe.keys() == {PROTOCOL, REGISTRY, model}
    fresh.edit(PROTOCOL, "  temperature:\n", recipe[PROTOCOL] + "  temperature:\n")
    for file in (REGISTRY, model):
        old, new = (line[1:].strip() for line in recipe[file].splitlines())
        fresh.edit(file, old, new)
    assert changed(fresh) == {PROTOCOL, REGISTRY, model}

    refused = fresh.run("patchvae", "pretrain", surcharged("9"))
    assert refused.returncode == 2
    assert "model.surcharge: 9 is greater than or equal to the maximum of 9" in refused.stderr
    target = f"results/{surcharged('0.5').replace('tiny/', 'tiny/runs/')}/pretrain/metrics.json"
    make(fresh, target)
    assert "surcharge: 0.5" in (fresh.folder / target).with_name("config.yaml").read_text()
    # a study sets it, and every path follows
    fresh.edit("config/tiny.yaml", "protocol:\n", "protocol:\n  model: {surcharge: 2}\n")
    done = fresh.snakemake("--dry-run", "tables/tiny/table5.tex")
    assert "bapp1-extra2/seed0" in done.stdout


def surcharged(value: str) -> str:
    return f"tiny/parts32/patchvae/N4-d2-prior0.25-bvis0.6-bapp1-extra{value}/seed0"


@pytest.mark.parametrize(
    ("leave_out", "message"),
    [
        (PROTOCOL, "config/protocol.yaml: model lacks surcharge"),
        (REGISTRY, "config/protocol.yaml: model: nothing reads the key 'surcharge'"),
        ("patchvae/models/patchvae.py", "unexpected keyword argument 'surcharge'"),
        ("prefix", "model.surcharge is part of the path of a patchvae: give it a 'prefix'"),
        ("range", "does not match"),
    ],
)
def test_a_hyper_parameter_half_added_is_one_line(fresh, leave_out, message):
    recipe = blocks("A hyper-parameter")
    entry = recipe[PROTOCOL]
    if leave_out in ("prefix", "range"):
        new = "" if leave_out == "prefix" else "    range: 0 to 9\n"
        entry = re.sub(rf"    {leave_out}: .*\n", new, entry)
    if leave_out != PROTOCOL:
        fresh.edit(PROTOCOL, "  temperature:\n", entry + "  temperature:\n")
    for file in (REGISTRY, "patchvae/models/patchvae.py"):
        if file != leave_out:
            old, new = (line[1:].strip() for line in recipe[file].splitlines())
            fresh.edit(file, old, new)
    prepared = fresh.run("patchvae", "prepare", "parts32")
    assert prepared.returncode == 0, prepared.stderr
    done = fresh.run("patchvae", "pretrain", surcharged("0.5"))
    assert done.returncode == 2
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_model_is_a_file_and_a_line_and_everything_shows_it(fresh):
    """A VAE with another prior and a plain autoencoder, with their suffixes, to the report page."""
    rows = []
    played = {"A model": ("", "-gan-lw"), "A model without a KL": ("", "-lw", "-gan")}
    for heading, suffixes in played.items():
        recipe = blocks(heading)
        (file,) = recipe.keys() - {REGISTRY}
        before = changed(fresh)
        (fresh.folder / file).write_text(recipe[file])
        register(fresh, "_ARCHITECTURES", recipe[REGISTRY])
        assert changed(fresh) == before | {file, REGISTRY}
        name = re.search('Architecture\\(\\s*"([^"]+)"', recipe[REGISTRY])[1]
        rows += [f"{name}{suffix}" for suffix in suffixes]
    extra = ", ".join(f"{{model: {row}}}" for row in rows)
    tables = f"{{table1: {{datasets: [parts32], without: {ALL}, extra: [{extra}]}}}}"
    write_study(fresh, tables)
    make(fresh, "mine")
    page = (fresh.folder / "results" / "mine" / "report.html").read_text()
    cells = fresh.folder / "results" / "mine" / "cells" / "table1"
    assert {path.name for path in cells.iterdir()} == set(rows)
    for name in ("training", "reconstructions", "samples", "filters", "posterior"):
        assert (fresh.folder / "figures" / "mine" / f"{name}.png").stat().st_size > 5000
        assert f'id="figure-{name}"' in page
    latents = (fresh.folder / "tables" / "mine" / "posterior.csv").read_text()
    assert "Laplace" in latents
    assert "Autoencoder" not in latents


def test_a_table_is_a_file_and_a_line_and_its_rows_set_anything(fresh):
    recipe = blocks("A table")
    table, study = "config/tables/annealing.yaml", "config/mine.yaml"
    assert recipe.keys() == {table, study}
    (fresh.folder / table).write_text(recipe[table])
    write_study(fresh, "\n" + recipe[study])
    assert changed(fresh) == {table}
    target = "tables/mine/annealing.tex"
    assert fresh.planned(target) == {
        "prepare": 1, "pretrain": 3, "probe": 4, "cell": 4, "table": 1,
    }  # fmt: skip
    make(fresh, target)
    assert fresh.planned(target) == {}
    cells = {
        path.parent.name: json.loads(path.read_text())
        for path in (fresh.folder / "results/mine/cells/annealing").rglob("*.json")
    }
    name = "N16-d6-prior0.0625-bvis0.6-bapp1"
    assert {key: cell["variant"] for key, cell in cells.items()} == {
        "patchvae": name,
        "temperature_rate=0.001": f"{name}+temperature_rate=0.001",
        "temperature_rate=0.001,pretrain.lr=0.01": (
            f"{name}+temperature_rate=0.001+pretrain.lr=0.01"
        ),
        "probe.epochs=2": name,
    }
    assert all("A9" in cell["readings"] for cell in cells.values())
    assert cells["probe.epochs=2"]["runs"][0]["path"].endswith("seed0/conv5+probe.epochs=2")
    # what the study says too is the same run
    fresh.edit(study, "epochs: 1, batch_size: 32}\n  probe", "epochs: 1, batch_size: 32}\n"
               "  model: {temperature_rate: 0.001}\n  probe")  # fmt: skip
    assert fresh.planned(target)["pretrain"] == 2


def test_a_dataset_is_a_file_and_a_line(fresh):
    recipe = blocks("A dataset")
    (file,) = recipe.keys() - {REGISTRY}
    (fresh.folder / file).write_text(recipe[file])
    register(fresh, "_DATASETS", recipe[REGISTRY])
    assert changed(fresh) == {file, REGISTRY}
    write_study(fresh, "{table1: {datasets: [parts32, stripes]}}")
    fresh.edit("config/mine.yaml", "datasets: {parts32", "datasets: {stripes: {}, parts32")
    cell = "results/mine/cells/table1/patchvae/stripes-conv5.json"
    make(fresh, cell, "figures/mine/datasets/stripes/figure3.png")
    assert json.loads((fresh.folder / cell).read_text())["n_test"] == 48
    done = fresh.run("patchvae", "forecast", "mine")
    assert done.returncode == 0, done.stderr


def test_a_folder_of_images_is_a_line_of_a_study(fresh):
    from PIL import Image

    line = blocks("A folder of images")["config/mine.yaml"]
    for split, count in (("train", 40), ("test", 10)):
        for name, hue in (("dark", 30), ("light", 200)):
            folder = fresh.folder / "photos" / split / name
            folder.mkdir(parents=True)
            for k in range(count // 2):
                Image.new("RGB", (40, 36), (hue + k, hue, 2 * k)).save(folder / f"{k}.png")
    write_study(fresh, "{table1: {datasets: [photos]}}")
    fresh.edit("config/mine.yaml", "datasets: {parts32: {train: 64, test: 50}}",
               "datasets:\n" + line.rstrip())  # fmt: skip
    assert changed(fresh) == set()
    cell = "results/mine/cells/table1/beta-vae/photos-conv5.json"
    make(fresh, cell)
    assert json.loads((fresh.folder / cell).read_text())["n_test"] == 10
    assert fresh.planned(cell) == {}
    # another image: the folder is prepared again, and all that rests on it is made again
    Image.new("RGB", (40, 36)).save(fresh.folder / "photos" / "test" / "dark" / "new.png")
    assert fresh.planned(cell) == {"prepare": 1, "pretrain": 1, "probe": 1, "cell": 1}
    done = fresh.run("patchvae", "pretrain", "mine/photos/beta-vae/z96-beta1/seed0")
    assert done.returncode == 3
    assert "photos has changed since 'photos' was prepared" in done.stderr
    make(fresh, cell)
    assert json.loads((fresh.folder / cell).read_text())["n_test"] == 11
