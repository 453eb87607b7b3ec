"""Hostile values: no name, study or file is ever executed; each is refused in one line."""

import ast
import shutil
import string
import sys
from pathlib import Path

import pytest
from checkout import Checkout, copy_project
from small_study import REPO, edit_study, forget_configs

HOSTILE = (
    "; touch pwned",
    "$(touch pwned)",
    "`touch pwned`",
    "x' && touch pwned '",
    'x" && touch pwned "',
    "| touch pwned",
    "../../pwned",
    "..",
    "/etc/passwd",
    "a\ntouch pwned",
    "--help=; touch pwned",
    "{input}",
    "seed\u0663",
)
RUN = "results/tiny/runs/parts32/random/plain/seed0"
SAFE = set(string.ascii_letters + string.digits + "_.=,+-")
TAG = '!!python/object/apply:os.system ["touch pwned"]'


@pytest.fixture
def fresh(tmp_path: Path) -> Checkout:
    """A checkout in which nothing has run, in a folder with a hostile name."""
    folder = tmp_path / "it's; $(touch pwned) & `touch pwned`"
    folder.mkdir()
    copy_project(folder)
    return Checkout(folder, folder / "data; $(touch pwned)")


def files(folder: Path) -> set[Path]:
    return {path for path in folder.rglob("*") if "__pycache__" not in path.parts}


def refused(
    arguments: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> str:
    """The line with which the command line refuses these arguments."""
    from patchvae.cli import main

    monkeypatch.setattr(sys, "argv", ["patchvae", *arguments])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code in (2, 3, 6), arguments
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("patchvae: error: ")
    return line


@pytest.mark.parametrize("value", HOSTILE)
def test_hostile_arguments_are_refused_and_leave_nothing(
    value: str,
    project: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = files(project.parent)
    words = ["tiny", "parts32", "patchvae", "N4-d2-prior0.25-bvis0.6-bapp1", "seed0"]
    for place in range(len(words)):
        run = "/".join([*words[:place], value, *words[place + 1 :]])
        refused(["pretrain", "--", run], capsys, monkeypatch)
        refused(["probe", "--", run, "conv5"], capsys, monkeypatch)
    refused(["probe", "--", "/".join(words), value], capsys, monkeypatch)
    parts = ("tiny", "table5", "beta_vis=0.6", "parts32-conv5")
    for cell in ("/".join([*parts[:i], value, *parts[i + 1 :]]) for i in range(4)):
        refused(["cell", "--", cell], capsys, monkeypatch)
        refused(["explain", "--", cell], capsys, monkeypatch)
    for command in ("table", "figure", "document", "compare", "report", "prepare"):
        refused([command, "--", value], capsys, monkeypatch)
    refused(["table", "--", f"tables/{value}/table1.tex"], capsys, monkeypatch)
    assert files(project.parent) == before


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ("title: a test", f"title: {TAG}", "could not determine a constructor"),
        ("seeds: [0, 1]", f"seeds: [{TAG}]", "could not determine a constructor"),
        ("seeds: [0, 1]", 'seeds: ["0; touch pwned"]', "is not of type 'integer'"),
        ("batch_size: 8, lr: 1.0e-3", "batch_size: $(touch pwned)", "is not of type 'integer'"),
        ("study: tiny", 'study: "tiny; touch pwned"', "study: 'tiny; touch pwned' does not match"),
        ("  parts32: {train", "  ../parts32: {train", "unknown dataset '../parts32'"),
        ("  table1:", '  "table1; touch pwned":', "'table1; touch pwned' does not match"),
        ("  table1:", "  ../table1:", "'../table1' does not match"),
    ],
)
def test_a_hostile_study_is_refused_and_executes_nothing(
    old: str,
    new: str,
    line: str,
    project: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    edit_study(old, new)
    before = files(project.parent)
    run = "tiny/parts32/random/plain/seed0"
    for command in (["compare", "tiny"], ["table", "tiny/table1"], ["pretrain", run]):
        forget_configs()
        assert line in refused(command, capsys, monkeypatch)
    assert files(project.parent) == before


@pytest.mark.parametrize("name", ["protocol.yaml", "tables/table1.yaml"])
def test_a_tag_in_any_configuration_file_is_refused(
    name: str,
    project: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (project / "config" / name).write_text(f"x: {TAG}\n")
    before = files(project.parent)
    line = refused(["table", "tiny/table1"], capsys, monkeypatch)
    assert f"config/{name} is not valid YAML" in line
    assert "could not determine a constructor" in line
    assert files(project.parent) == before


@pytest.mark.parametrize("name", ["$(touch pwned)", "tiny; touch pwned", "a\ntouch pwned"])
def test_a_study_file_with_a_hostile_name_is_no_study(
    name: str,
    project: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shutil.copy(project / "config" / "tiny.yaml", project / "config" / f"{name}.yaml")
    before = files(project.parent)
    refused(["compare", name], capsys, monkeypatch)
    refused(["pretrain", f"{name}/parts32/random/plain/seed0"], capsys, monkeypatch)
    refused(["compare", "unknown"], capsys, monkeypatch)  # lists every study
    assert files(project.parent) == before


def test_no_shell_character_passes_any_wildcard_of_any_rule(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """sbatch gets its command through a shell, whose line holds every wildcard of the job."""
    from snakemake.api import SnakemakeApi
    from snakemake.io import get_wildcard_constraints
    from snakemake.settings.types import OutputSettings, ResourceSettings

    monkeypatch.chdir(REPO)
    monkeypatch.setenv("PATH", "/usr/bin:/bin")  # the workflow changes it, this puts it back
    passed: dict[str, set[str]] = {}
    with SnakemakeApi(OutputSettings(quiet=None)) as api:
        workflow = api.workflow(ResourceSettings(cores=1), snakefile=REPO / "Snakefile")._workflow
        for rule in workflow.rules:
            for output in rule.output:
                constraints = get_wildcard_constraints(output)
                assert constraints.keys() == output.get_wildcard_names(), rule.name
                for name, pattern in constraints.items():
                    found = {c for c in map(chr, range(128)) if passes(pattern, c)}
                    passed.setdefault(name, set()).update(found)
    assert {"study", "dataset", "model", "variant", "seed", "row", "column"} <= passed.keys()
    assert "x" in passed["study"]
    assert set().union(*passed.values()) <= SAFE


def passes(pattern: object, character: str) -> bool:
    """Whether the pattern takes any of some words with this character in it."""
    words = ("a{}1", "1{}1", "a{}1-b", "a-{}b", "{}", "table{}", "conv{}")
    tried = [word.replace("{}", character) for word in words]
    return any(pattern.fullmatch(word) for word in tried)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("target", "line"),
    [
        ("tables/tiny/table1; touch pwned.tex", "unknown table of study 'tiny'"),
        ("tables/$(touch pwned)/table1.tex", "unknown study '$(touch pwned)'"),
        (f"{RUN.replace('plain', '..')}/pretrain/metrics.json", "'..' is no variant"),
        ("results/tiny/cells/table5/beta_vis=0.6\n/parts32-conv5.json", "unknown row"),
    ],
)
def test_snakemake_refuses_hostile_targets(target: str, line: str, fresh: Checkout) -> None:
    before = files(fresh.folder.parent)
    done = fresh.snakemake("--", target)
    assert done.returncode == 1
    assert line in done.stdout + done.stderr
    made = {path.name for path in files(fresh.folder.parent) - before}
    assert "pwned" not in made
    assert not list(fresh.folder.glob("results/*/runs"))
    assert "Traceback" not in done.stderr


def test_snakemake_refuses_a_study_with_a_tag(fresh: Checkout) -> None:
    fresh.edit("config/tiny.yaml", "title: a test", f"title: {TAG}")
    done = fresh.snakemake("--dry-run", f"{RUN}/pretrain/metrics.json")
    assert done.returncode == 1
    assert "config/tiny.yaml is not valid YAML" in done.stdout + done.stderr
    assert not list(fresh.folder.parent.rglob("pwned"))


def test_folders_with_hostile_names_are_only_names(fresh: Checkout) -> None:
    """A run in such a folder, with such a data root and title, makes its files and no others."""
    fresh.edit("config/tiny.yaml", "title: a test", 'title: "$(touch pwned) `touch pwned`"')
    done = fresh.snakemake(f"{RUN}/pretrain/metrics.json")
    assert done.returncode == 0, done.stdout + done.stderr
    assert (fresh.folder / RUN / "pretrain" / "encoder.safetensors").exists()
    assert (Path(fresh.env["PATCHVAE_DATA"]) / "parts32" / "train.npy").exists()
    assert not list(fresh.folder.parent.rglob("pwned"))


def submit(folder: Path) -> tuple[str, bool]:
    """What a head process there says, and whether it called sbatch, which refuses everything."""
    folder.mkdir()
    copy_project(folder)
    shutil.copytree(REPO / "slurm", folder / "slurm")
    checkout = Checkout(folder, folder / "data")
    commands, called = folder.parent / "commands", folder.parent / "called"
    commands.mkdir()
    for name, script in (("sbatch", f"touch {called}\nexit 1"), ("squeue", "exit 0")):
        (commands / name).write_text(f"#!/bin/sh\n{script}\n")
        (commands / name).chmod(0o755)
    checkout.env["PATH"] = f"{commands}:{checkout.env['PATH']}"
    done = checkout.run("snakemake", "--profile", "slurm", "results/datasets/parts32.json")
    assert done.returncode == 1
    return done.stdout + done.stderr, called.exists()


def test_a_folder_that_slurms_plugin_would_execute_is_refused_before_any_job(
    tmp_path: Path,
) -> None:
    """Its shell line has the folder in double quotes; what these keep is a name there too."""
    folder = tmp_path / 'a $(touch pwned) `touch pwned` "b" \\c\nd'
    said, called = submit(folder)
    assert not called
    assert "the project's folder" in said
    assert r"""contains '\n' '"' '$' '\\' '`', which is not safe in a Slurm job""" in said
    assert not list(tmp_path.rglob("pwned"))
    local = Checkout(folder, folder / "data").snakemake("results/datasets/parts32.json")
    assert local.returncode == 0, local.stdout + local.stderr
    assert (folder / "data" / "parts32" / "manifest.json").exists()
    assert not list(tmp_path.rglob("pwned"))


@pytest.mark.needs("sacct")
def test_other_folders_are_no_obstacle_to_slurm(tmp_path: Path) -> None:
    said, called = submit(tmp_path / "it's; a (b) & c | d")
    assert called, said
    assert "not safe in a Slurm job" not in said


def calls(name: str) -> list[tuple[str, ast.Call]]:
    """Every call of a function or method of this name in the package, with its file."""
    found = []
    for path in sorted((REPO / "patchvae").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func).endswith(name):
                found.append((str(path.relative_to(REPO / "patchvae")), node))
    return found


def keyword(call: ast.Call, name: str) -> object:
    return next((ast.literal_eval(k.value) for k in call.keywords if k.arg == name), None)


def test_only_the_original_cifar_archive_is_unpickled() -> None:
    assert [path for path, _ in calls("pickle.load")] == ["data/cifar100.py"]
    assert calls("pickle.loads") == calls("Unpickler") == calls("joblib.load") == []
    loads = calls("torch.load")
    assert loads
    assert [path for path, call in loads if keyword(call, "weights_only") is not True] == []
    assert [path for path, call in calls("np.load") if keyword(call, "allow_pickle")] == []


def test_the_package_runs_no_shell_and_evaluates_no_text() -> None:
    for name in ("os.system", "os.popen", "yaml.load", "yaml.unsafe_load", "yaml.full_load"):
        assert calls(name) == [], name
    assert calls("yaml.safe_load") == []  # read_yaml alone refuses keys that appear twice
    bare = [c for name in ("eval", "exec") for _, c in calls(name) if isinstance(c.func, ast.Name)]
    assert bare == []
    started = calls("subprocess.run") + calls("subprocess.Popen")
    assert started
    assert [path for path, call in started if keyword(call, "shell")] == []


def test_no_archive_is_extracted_to_disk_unfiltered() -> None:
    for name in (".extractall", ".extract", "extract_archive"):
        assert [p for p, call in calls(name) if keyword(call, "filter") != "data"] == [], name
