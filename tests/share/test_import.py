"""Imported trainings are done for Snakemake; a crate that is not what it should be changes nothing.

Forged crates are sealed anew here, as their maker could: what is then refused is refused for what
it says, not for a digest.
"""

import hashlib
import io
import json
import os
import pickle
import shutil
import stat
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from checkout import Checkout
from safetensors.torch import save_file
from small_study import edit_study

from patchvae.runtime.lock import locked
from patchvae.runtime.results import read_result, write_result
from patchvae.runtime.stage import lock_of
from patchvae.share.archive import LIST, pack, write_list
from patchvae.study import paths
from patchvae.study.digests import file_digest
from patchvae.study.runs import Run, resolve_run

RUN = "results/tiny/runs/parts32/beta-vae/z8-beta1/seed0"
CELLS = [f"results/tiny/cells/table1/beta-vae/parts32-conv{n}.json" for n in (1, 3, 5)]
IMPORT = {"pretrain": 2, "probe": 6, "cell": 3}


def tree(folder: Path) -> dict[str, bytes | None]:
    """Everything below a folder with its content."""
    found = sorted(folder.rglob("*"))
    return {str(p.relative_to(folder)): p.read_bytes() if p.is_file() else None for p in found}


def refused(
    crate: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, code: int = 6,
    *options: str,
) -> str:  # fmt: skip
    """The line with which the command line refuses a crate, having changed nothing."""
    from patchvae.cli import main

    before = tree(Path())
    monkeypatch.setattr(sys, "argv", ["patchvae", "import", str(crate), *options])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == code
    assert tree(Path()) == before
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("patchvae: error: ")
    assert ".import-" not in line
    return line


def seal(crate: Path, stage: str, **changes: Any) -> None:
    """Write a result of the crate anew with changes, and every digest that it and the list hold."""
    folder, kind = crate / RUN / stage, "pretrain" if stage == "pretrain" else "probe"
    names = paths.PRETRAIN_FILES if kind == "pretrain" else paths.PROBE_FILES
    body = json.loads((folder / paths.METRICS).read_text())
    beside = tuple(name for name in names if name != paths.METRICS)
    write_result(folder / paths.METRICS, kind, body | changes, files=beside)
    (crate / LIST).unlink()
    write_list(crate)


def test_snakemake_plans_nothing_for_what_was_imported(fresh: Checkout, crate: Path) -> None:
    assert fresh.planned("tables/tiny/table1.tex") == {"prepare": 1, **IMPORT, "table": 1}
    done = fresh.run("patchvae", "import", str(crate))
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 1 + 2 + 6 + 3
    assert fresh.planned(*CELLS) == {}
    assert fresh.planned("tables/tiny/table1.tex") == {"table": 1}
    for path in (p for p in (crate / "results").rglob("*.json") if "runs" in p.parts):
        assert (fresh.folder / path.relative_to(crate)).read_bytes() == path.read_bytes()
    for cell in CELLS:
        assert Path(cell).read_bytes() == (crate / cell).read_bytes()
    # and later edits are noticed as ever
    fresh.edit("config/tiny.yaml", "probe: {epochs: 4", "probe: {epochs: 3")
    assert fresh.planned(*CELLS) == {"probe": 6, "cell": 3}


def test_a_second_import_leaves_all_as_it_is(fresh: Checkout, crate: Path) -> None:
    fresh.run("patchvae", "import", str(crate))
    times = {path: path.stat().st_mtime_ns for path in Path("results").rglob("*.*")}
    again = fresh.run("patchvae", "import", str(crate))
    assert again.stdout == "9 were here already\n"
    assert {path: path.stat().st_mtime_ns for path in Path("results").rglob("*.*")} == times


def test_runs_beside_imported_ones_are_left_alone(
    fresh: Checkout, crate: Path, finished: Path
) -> None:
    shutil.copytree(finished / "results", "results")
    shutil.rmtree(RUN)
    shutil.rmtree("results/tiny/cells")
    assert fresh.planned(*CELLS) == {"pretrain": 1, "probe": 3, "cell": 3}
    done = fresh.run("patchvae", "import", str(crate))
    assert "5 were here already" in done.stdout
    assert fresh.planned(*CELLS) == {}


def test_results_older_than_an_imported_pretraining_are_not_made_again(
    fresh: Checkout, crate: Path, finished: Path
) -> None:
    shutil.copytree(finished / "results", "results")
    shutil.rmtree(f"{RUN}/pretrain")
    done = fresh.run("patchvae", "import", str(crate))
    assert "5 were here already" in done.stdout
    assert fresh.planned(*CELLS, f"{RUN}/conv5/{paths.METRICS}") == {}


@pytest.mark.parametrize(
    "name",
    [
        "README.md",
        "ro-crate-metadata.json",
        "results/tiny/accuracies.parquet",
        CELLS[0],
        f"{RUN}/pretrain/{paths.MODEL}",
        f"{RUN}/conv5/{paths.PREDICTIONS}",
        f"{RUN}/conv5/{paths.METRICS}",
    ],
)
@pytest.mark.parametrize("form", ["folder", "zip"])
def test_a_flipped_byte_is_refused(
    fresh: Checkout, altered: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch, name: str, form: str,
) -> None:  # fmt: skip
    content = bytearray((altered / name).read_bytes())
    content[len(content) // 2] ^= 1
    (altered / name).write_bytes(content)
    given = altered
    if form == "zip":
        given = tmp_path / "crate.zip"
        pack(altered, given)
    line = refused(given, capsys, monkeypatch)
    assert f"{name} was altered or cut short" in line


def test_a_damaged_zip_file_is_refused(
    fresh: Checkout, crate: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    given = tmp_path / "crate.zip"
    pack(crate, given)
    content = given.read_bytes()
    given.write_bytes(content[: len(content) // 2])
    assert "is broken" in refused(given, capsys, monkeypatch)
    middle = len(content) // 2
    given.write_bytes(content[:middle] + bytes(100) + content[middle + 100 :])
    assert "copy it again" in refused(given, capsys, monkeypatch)


def test_missing_and_additional_files_are_refused(
    fresh: Checkout, altered: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    (altered / "more").write_text("")
    assert "more is in manifest-sha256.txt or in the crate" in refused(altered, capsys, monkeypatch)
    (altered / "more").unlink()
    (altered / RUN / "conv5" / paths.HISTORY).unlink()
    assert f"{RUN}/conv5/history.csv is in" in refused(altered, capsys, monkeypatch)
    (altered / LIST).unlink()
    assert "has no manifest-sha256.txt" in refused(altered, capsys, monkeypatch)


def of_other_images(crate: Path) -> None:
    seal(crate, "pretrain", data_digest="0" * 64)


def of_other_code(crate: Path) -> None:
    seal(crate, "pretrain", source_digest="0" * 64)


def with_another_accuracy(crate: Path) -> None:
    seal(crate, "conv5", top1=99.0)


def with_a_word_for_a_result(crate: Path) -> None:
    seal(crate, "conv5", encoder=None, config_digest=["x"], source_digest={})


def with_fewer_predictions(crate: Path) -> None:
    path = crate / RUN / "conv5" / paths.PREDICTIONS
    with np.load(path) as stored:
        cut = {name: stored[name] for name in stored}
    buffer = io.BytesIO()
    np.savez(buffer, **{n: np.concatenate([a, a]) for n, a in cut.items()})
    path.write_bytes(buffer.getvalue())
    seal(crate, "conv5")


def with_a_pickle_of_predictions(crate: Path) -> None:
    path = crate / RUN / "conv5" / paths.PREDICTIONS
    right = np.array([Pwn()], dtype=object)
    np.savez(path, predicted=right, correct1=right, correct5=right)
    seal(crate, "conv5")


def with_a_pickle_of_weights(crate: Path) -> None:
    (crate / RUN / "pretrain" / paths.ENCODER).write_bytes(pickle.dumps(Pwn()))
    seal(crate, "pretrain")


def with_weights_of_another_network(crate: Path) -> None:
    save_file({"x": torch.zeros(3)}, crate / RUN / "pretrain" / paths.MODEL)
    seal(crate, "pretrain")


def with_another_encoder(crate: Path) -> None:
    save_file({"x": torch.zeros(3)}, crate / RUN / "pretrain" / paths.ENCODER)
    seal(crate, "pretrain")


def with_another_configuration_beside_it(crate: Path) -> None:
    path = crate / RUN / "conv5" / paths.RESOLVED
    path.write_text(path.read_text().replace("epochs: 4", "epochs: 5"))
    seal(crate, "conv5")


def without_its_pretraining(crate: Path) -> None:
    shutil.rmtree(crate / RUN / "pretrain")
    seal(crate, "conv5")


def of_a_file_too_many_in_the_run(crate: Path) -> None:
    shutil.copytree(crate / RUN / "conv5", crate / RUN / "conv5+probe.epochs=4")
    seal(crate, "conv5")


class Pwn:
    """Unpickling it leaves a file."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (os.mkdir, ("pwned",))


@pytest.mark.parametrize(
    ("forge", "said"),
    [
        (of_other_images, "images"),
        (of_other_code, "is stale by this study (code)"),
        (with_another_accuracy, "does not give the accuracies recorded"),
        (with_a_word_for_a_result, "conv5"),
        (with_fewer_predictions, "does not give the accuracies recorded"),
        (with_a_pickle_of_predictions, "conv5"),
        (with_a_pickle_of_weights, "no whole safetensors file"),
        (with_weights_of_another_network, "is of another network"),
        (with_another_encoder, "is not the trunk of model.safetensors"),
        (with_another_configuration_beside_it, "is not the configuration of"),
        (without_its_pretraining, "nothing was imported"),
        (of_a_file_too_many_in_the_run, "'conv5+probe.epochs=4' is called 'conv5'"),
    ],
)
def test_a_forged_crate_is_refused(
    fresh: Checkout, altered: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch, forge: Callable[[Path], None], said: str,
) -> None:  # fmt: skip
    forge(altered)
    assert said in refused(altered, capsys, monkeypatch)


def test_results_of_another_configuration_are_refused(
    fresh: Checkout, crate: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    edit_study("pretrain: {epochs: 2", "pretrain: {epochs: 3")
    line = refused(crate, capsys, monkeypatch)
    assert "seed0 is stale by this study (configuration: pretrain.epochs 2 -> 3)" in line


def test_a_study_that_is_not_here_is_named(
    fresh: Checkout, crate: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    Path("config/tiny.yaml").unlink()
    from small_study import forget_configs

    forget_configs()
    line = refused(crate, capsys, monkeypatch)
    assert "'tiny'" in line
    assert "the crate has its own config/" in line


def test_trainings_on_other_images_than_are_prepared_here_are_refused(
    fresh: Checkout, crate: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    stamp = paths.prepared("parts32")
    manifest = read_result(crate / stamp, "dataset")["manifest"]
    write_result(stamp, "dataset", {"manifest": manifest | {"digest": "0" * 64}})
    assert "images" in refused(crate, capsys, monkeypatch)


def zipped(path: Path, name: str, mode: int = stat.S_IFREG | 0o644, flags: int = 0) -> Path:
    """A zip file with a list and one more entry."""
    content = b"/etc"
    with zipfile.ZipFile(path, "w") as file:
        entry = zipfile.ZipInfo(name)
        entry.external_attr = mode << 16
        file.writestr(entry, content)
        file.writestr(LIST, f"{hashlib.sha256(content).hexdigest()}  {name}\n")
    if flags:
        raw = path.read_bytes()
        at = raw.index(b"PK\x01\x02") + 8
        path.write_bytes(raw[:at] + bytes([flags]) + raw[at + 1 :])
    return path


@pytest.mark.parametrize(
    "name",
    ["../pwned", "/tmp/pwned", "results/../../pwned", "a//b", "C:/pwned", "a\\..\\b", "a\nb", "."],
)
def test_a_name_that_leads_out_is_refused(
    fresh: Checkout, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch, name: str,
) -> None:  # fmt: skip
    given = zipped(tmp_path / "crate.zip", name)
    assert "leads out of the crate or is no name" in refused(given, capsys, monkeypatch)
    assert not (tmp_path / "pwned").exists()


def test_links_encrypted_and_doubled_entries_are_refused(
    fresh: Checkout, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    given = zipped(tmp_path / "link.zip", "a", stat.S_IFLNK | 0o777)
    assert "is a link" in refused(given, capsys, monkeypatch)
    given = zipped(tmp_path / "secret.zip", "a", flags=1)
    assert "encrypted" in refused(given, capsys, monkeypatch)
    given = zipped(tmp_path / "twice.zip", "a")
    with zipfile.ZipFile(given, "a") as file, pytest.warns(UserWarning, match="Duplicate"):
        file.writestr("a", b"again")
    assert "there twice" in refused(given, capsys, monkeypatch)


@pytest.mark.parametrize("target", ["/etc/passwd", "conv1", "nowhere"])
def test_a_link_in_a_folder_is_refused(
    fresh: Checkout, altered: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch, target: str,
) -> None:  # fmt: skip
    (altered / RUN / "link").symlink_to(target)
    assert "is a link or no file" in refused(altered, capsys, monkeypatch)


def test_a_crate_that_is_too_large_is_refused_unread(
    fresh: Checkout, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    given = tmp_path / "bomb.zip"
    with zipfile.ZipFile(given, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("zeros", bytes(30 * 2**20))
        file.writestr(LIST, f"{'0' * 64}  zeros\n")
    assert given.stat().st_size < 2**16
    line = refused(given, capsys, monkeypatch, 6, "--limit", "0.01")
    assert "allow that with --limit" in line


def test_a_disk_with_too_little_room_is_said_before_anything_is_read(
    fresh: Checkout, crate: Path, tmpfs: Callable[[str], Path],
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    paths.RESULTS.symlink_to(tmpfs("size=1m"))
    assert "make room" in refused(crate, capsys, monkeypatch, 7)


def test_other_results_are_replaced_only_when_asked(
    fresh: Checkout, crate: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    fresh.run("patchvae", "import", str(crate))
    path = Path(RUN, "conv5", paths.METRICS)
    write_result(path, "probe", read_result(path, "probe") | {"wall_seconds": 1.0})
    own = file_digest(path)
    line = refused(crate, capsys, monkeypatch, 2)
    assert f"{path} is here with another content: give --replace" in line
    assert file_digest(path) == own
    done = fresh.run("patchvae", "import", str(crate), "--replace")
    assert done.returncode == 0, done.stderr
    assert file_digest(path) == file_digest(crate / path)
    assert fresh.planned(*CELLS) == {}
    assert not list(Path().rglob(".import-*"))


def test_what_a_job_makes_now_is_left_to_it(
    fresh: Checkout, crate: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    config = resolve_run(Run.parse(RUN))
    with locked(lock_of(config)):
        assert "is being made here" in refused(crate, capsys, monkeypatch, 5)


def test_a_zip_file_needs_no_library_of_crates(
    fresh: Checkout, crate: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from patchvae.share.importing import import_crate

    pack(crate, tmp_path / "crate.zip")
    monkeypatch.setitem(sys.modules, "rocrate", None)
    assert len(import_crate(tmp_path / "crate.zip").jobs) == 12
    for cell in CELLS:
        assert Path(cell).read_bytes() == (crate / cell).read_bytes()
