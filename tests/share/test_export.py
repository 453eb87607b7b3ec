"""A crate holds the whole study, can be checked by others' tools, and is the same bytes twice."""

import csv
import json
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from small_study import inside

from patchvae.cli import cli
from patchvae.errors import CheckpointError, ConfigError
from patchvae.planning.jobs import CELL, PREPARE, TRAINED
from patchvae.runtime.results import read_result
from patchvae.share.archive import LIST
from patchvae.share.contents import files_of
from patchvae.share.contents import finished as found_finished
from patchvae.study import paths

PRETRAINED = "results/tiny/runs/parts32/beta-vae/z8-beta1/seed0/pretrain"


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["export", "tiny", *arguments])


def test_a_crate_has_every_file_of_every_job(finished: Path, crate: Path) -> None:
    with inside(finished):
        jobs = found_finished("tiny", partial=False).jobs
    assert [job.kind for job in jobs].count(CELL) == 3
    assert {job.kind for job in jobs} == {PREPARE, CELL, *TRAINED}
    for path in (path for job in jobs for path in files_of(job)):
        assert (crate / path).read_bytes() == (finished / path).read_bytes(), path


def test_a_crate_has_what_a_reader_wants(crate: Path) -> None:
    wanted = [
        "README.md", "config/tiny.yaml", "config/protocol.yaml", "config/tables/table1.yaml",
        "workflow/Snakefile", "workflow/envs/patchvae.yml", "environment.json",
        "tables/tiny/table1.tex", "tables/tiny/table10.html", "results/tiny/jobs.csv",
        "results/tiny/accuracies.parquet", "results/tiny/comparison.html",
    ]  # fmt: skip
    assert [name for name in wanted if not (crate / name).is_file()] == []
    with (crate / "results/tiny/accuracies.csv").open() as file:
        rows = list(csv.DictReader(file))
    cell = json.loads((crate / "results/tiny/cells/table1/beta-vae/parts32-conv5.json").read_text())
    assert [float(r["value"]) for r in rows if r["probe"] == "conv5"] == cell["values"]


def test_a_card_says_what_an_encoder_is(crate: Path) -> None:
    card = (crate / PRETRAINED / "README.md").read_text()
    metrics = read_result(crate / PRETRAINED / paths.METRICS, "pretrain")
    probe = read_result(crate / PRETRAINED / "../conv5" / paths.METRICS, "probe")
    assert metrics["config_digest"] in card
    assert metrics["files"][paths.ENCODER] in card
    assert f"| conv5 | {probe['top1']:.2f} | {probe['top5']:.2f} | 40 |" in card
    assert "trained on 40 images" in card
    code = [block.split("```")[0] for block in card.split("```python\n")[1:]]
    with inside(crate):
        for block in code:
            exec(block, {})
    assert len(code) == 2


def test_sha256sum_checks_a_crate(altered: Path) -> None:
    command = ["sha256sum", "--quiet", "-c", LIST]
    assert subprocess.run(command, cwd=altered, capture_output=True).returncode == 0
    with (altered / PRETRAINED / paths.ENCODER).open("r+b") as file:
        file.seek(-1, 2)
        file.write(b"\0" if file.read(1) != b"\0" else b"\1")
    done = subprocess.run(command, cwd=altered, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stdout == f"{PRETRAINED}/{paths.ENCODER}: FAILED\n"


def test_the_same_study_gives_the_same_bytes(finished: Path, crate: Path, tmp_path: Path) -> None:
    first, second = tmp_path / "first.zip", tmp_path / "second.zip"
    with inside(finished):
        assert run("--to", str(first)).exit_code == 0
        assert run("--to", str(second)).exit_code == 0
    assert first.read_bytes() == second.read_bytes()
    shutil.unpack_archive(first, tmp_path / "unpacked")
    assert (tmp_path / "unpacked" / LIST).read_bytes() == (crate / LIST).read_bytes()


def test_the_graph_has_what_the_profile_wants(crate: Path) -> None:
    graph = json.loads((crate / "ro-crate-metadata.json").read_text())["@graph"]
    by_id = {entity["@id"]: entity for entity in graph}
    root = by_id["./"]
    profiles = [found["@id"] for found in root["conformsTo"]]
    assert "https://w3id.org/ro/wfrun/workflow/0.5" in profiles
    workflow = by_id[root["mainEntity"]["@id"]]
    assert set(workflow["@type"]) == {"File", "SoftwareSourceCode", "ComputationalWorkflow"}
    (action,) = [entity for entity in graph if entity["@type"] == "CreateAction"]
    assert action["instrument"] == root["mainEntity"]
    assert root["mentions"] == {"@id": action["@id"]}
    parts = {part["@id"] for part in root["hasPart"]}
    files = {p.relative_to(crate).as_posix() for p in crate.rglob("*") if p.is_file()}
    assert parts == files - {"ro-crate-metadata.json", LIST}
    assert {"@id": f"{PRETRAINED}/{paths.ENCODER}"} in action["result"]
    assert {"@id": "config/tiny.yaml"} in action["object"]
    assert {"@id": "results/datasets/parts32.json"} in action["object"]


def test_the_validator_of_ro_crates_finds_nothing(crate: Path, tmp_path: Path) -> None:
    """Of all requirements of the profile and of those that it builds on."""
    program = shutil.which("rocrate-validator")
    if program is None:
        pytest.skip("needs rocrate-validator: pip install roc-validator in a venv on PATH")
    import rocrate

    context = Path(rocrate.__file__).parent / "data" / "ro-crate.jsonld"
    python = Path(program).read_text().splitlines()[0].removeprefix("#!")
    fill = [python, Path(__file__).with_name("fill_cache.py"), tmp_path / "cache", context]
    subprocess.run(fill, check=True)
    options = ["-p", "workflow-run-crate", "-l", "required", "--no-paging", "-v", "--offline"]
    command = [program, "-y", "validate", *options, "--cache-path", tmp_path / "cache", crate]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    assert "valid workflow-run-crate-0.5" in done.stdout


def test_an_unfinished_study_is_refused_or_said(
    finished: Path, crate: Path, tmp_path: Path
) -> None:
    with inside(shutil.copytree(finished, tmp_path / "part")):
        shutil.rmtree(f"{PRETRAINED}/../conv3")
        whole = run("--to", "out")
        assert whole.exit_code == 1
        assert isinstance(whole.exception, CheckpointError)
        assert "seed0/conv3: not started" in str(whole.exception)
        assert not Path("out").exists()
        part = run("--to", "out", "--partial")
        assert part.exit_code == 0, part.output
        # the probe and the cell that needs it
        assert part.output.count("left out: ") == 2
        assert "out: 7 trainings" in part.output
        assert not Path(f"out/{PRETRAINED}/../conv3").exists()
        assert "conv3: not started" in Path("out/README.md").read_text()


def test_figures_that_show_something_older_stay_away(
    finished: Path, crate: Path, tmp_path: Path
) -> None:
    with inside(shutil.copytree(finished, tmp_path / "drawn")):
        for name in ("figure1", "training"):
            for suffix in ("pdf", "png"):
                path = Path(f"figures/tiny/{name}.{suffix}")
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text("drawn")
        Path(f"{PRETRAINED}/{paths.METRICS}").touch()
        assert run("--to", "out").exit_code == 0
        shown = sorted(path.name for path in Path("out/figures").rglob("*.p*"))
    assert shown == ["figure1.pdf", "figure1.png"]


def test_cells_of_a_crate_can_be_trained_again(
    finished: Path, crate: Path, parts_root: Path, tmp_path: Path
) -> None:
    shutil.copytree(finished / "config", tmp_path / "config")
    options = ["--root", str(crate), "--data", str(parts_root), "--device", "cpu"]
    cell = ["--cell", "table1/beta-vae/parts32-conv3"]
    with inside(tmp_path):
        said = CliRunner().invoke(cli, ["verify", "tiny", *options, *cell])
    assert said.exit_code == 0, said.output
    assert "identical" in said.output


def test_nothing_is_overwritten(finished: Path, crate: Path, tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    with inside(finished):
        refused = run("--to", str(tmp_path / "there"))
    assert isinstance(refused.exception, ConfigError)
    assert "exists already" in str(refused.exception)
    assert list(tmp_path.iterdir()) == [tmp_path / "there"]


@pytest.mark.parametrize(
    ("module", "option", "extra"),
    [("rocrate.rocrate", "--to", "[share]"), ("tensorboardX", "--tensorboard", "[tensorboard]")],
)
def test_a_missing_library_is_one_line(
    finished: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    module: str,
    option: str,
    extra: str,
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with inside(finished):
        refused = run(option, str(tmp_path / "out"))
    assert isinstance(refused.exception, ConfigError)
    assert "pip install" in str(refused.exception)
    assert extra in str(refused.exception)


def test_histories_become_event_files(finished: Path, tmp_path: Path) -> None:
    pytest.importorskip("tensorboardX", reason="needs tensorboardX: make venv")
    from tensorboardX.proto.event_pb2 import Event

    with inside(finished):
        assert run("--tensorboard", str(tmp_path / "events")).exit_code == 0
        again = run("--tensorboard", str(tmp_path / "events"))
    assert "is not empty" in str(again.exception)
    folder = tmp_path / "events" / Path(PRETRAINED).relative_to(paths.RESULTS)
    (file,) = folder.iterdir()
    found: dict[str, list[tuple[int, float]]] = {}
    content, at = file.read_bytes(), 0
    while at < len(content):  # records: length, its checksum, an event, its checksum
        (length,) = struct.unpack_from("<Q", content, at)
        event = Event.FromString(content[at + 12 : at + 12 + length])
        for value in event.summary.value:
            found.setdefault(value.tag, []).append((event.step, value.simple_value))
        at += 16 + length
    with (finished / PRETRAINED / paths.HISTORY).open() as text:
        rows = list(csv.DictReader(text))
    assert set(found) == set(rows[0]) - {"epoch"}
    for name, points in found.items():
        assert [step for step, _ in points] == [int(row["epoch"]) for row in rows]
        assert [y for _, y in points] == pytest.approx([float(row[name]) for row in rows])
    assert len(list((tmp_path / "events").rglob("events.out*"))) == 8
