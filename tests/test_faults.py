"""What a file system refuses is one line with the path, the reason and a remedy, and exit code 7.

Real processes, real file systems: a folder, file or link where another belongs, disks that are
full, without inodes or read-only, too few file handles.
"""

import resource
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from processes import Job
from small_study import tiny_run

from patchvae.study import paths
from patchvae.study.tables import study_cells

Obstacle = Callable[[Path], None]


def a_file(path: Path) -> None:
    path.write_text("")


def a_folder(path: Path) -> None:
    path.mkdir()


def a_loop(path: Path) -> None:
    path.symlink_to(path.name)


def a_dangling_link(path: Path) -> None:
    path.symlink_to(path.with_name("missing"))


def ends(job: Job, code: int, *words: str) -> None:
    """The job ends with a code and one last line that has these words."""
    assert job.wait() == code, job.text()
    assert "Traceback" not in job.text()
    line = job.text().splitlines()[-1]
    assert line.startswith("patchvae: error: "), line
    for word in words:
        assert word in line


def training(project: Path, data: Path) -> Job:
    run = tiny_run("beta-vae")
    return Job(project, "pretrain", run.name, "--data", str(data), "--save-every", "0")


@pytest.mark.parametrize("obstacle", [a_file, a_loop, a_dangling_link])
@pytest.mark.parametrize("where", ["results", "results/tiny", "results/tiny/locks"])
def test_what_is_no_folder_where_results_belong(
    where: str, obstacle: Obstacle, project: Path, parts_root: Path
) -> None:
    Path(where).parent.mkdir(parents=True, exist_ok=True)
    obstacle(Path(where))
    ends(training(project, parts_root), 7, where)
    assert not list(project.rglob("metrics.json"))


@pytest.mark.parametrize("obstacle", [a_file, a_loop])
@pytest.mark.parametrize("name", ["state", "failed"])
def test_what_is_no_folder_where_states_and_failures_belong(
    name: str, obstacle: Obstacle, project: Path, parts_root: Path
) -> None:
    Path("results/tiny").mkdir(parents=True)
    obstacle(Path("results/tiny") / name)
    ends(training(project, parts_root), 7, f"results/tiny/{name}")
    assert not list(project.rglob("metrics.json"))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ("size=4k", "No space left on device: free some space"),
        ("size=64k", "No space left on device: free some space"),
        ("size=1m,nr_inodes=4", "No space left on device: free some space there (or inodes"),
        ("ro", "Read-only file system: mount it for writing"),
    ],
)
def test_a_training_on_a_disk_that_takes_no_more(
    options: str, words: str, project: Path, parts_root: Path, tmpfs: Callable[[str], Path]
) -> None:
    Path("results").symlink_to(tmpfs(options))
    ends(training(project, parts_root), 7, "results/tiny/", words)
    assert not list(project.rglob("*.lock"))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ("size=4k", "No space left on device: free some space"),
        ("size=1m", "No space left on device: free some space"),
        ("size=100m,nr_inodes=4", "No space left on device: free some space there (or inodes"),
        ("ro", "Read-only file system: mount it for writing"),
    ],
)
def test_a_data_root_that_takes_no_more(
    options: str, words: str, project: Path, tmpfs: Callable[[str], Path]
) -> None:
    disk = tmpfs(options)
    ends(Job(project, "prepare", "parts32", "--data", str(disk)), 7, str(disk), words)
    assert not list(disk.rglob("*.lock"))
    assert not (disk / "parts32").exists()
    if "ro" not in options:
        subprocess.run(["mount", "-o", "remount,size=200m,nr_inodes=100", str(disk)], check=True)
        assert Job(project, "prepare", "parts32", "--data", str(disk)).wait() == 0


@pytest.mark.parametrize("obstacle", [a_file, a_loop, a_dangling_link])
def test_a_data_root_that_is_no_folder(obstacle: Obstacle, project: Path) -> None:
    obstacle(project / "data")
    ends(Job(project, "prepare", "parts32"), 7, "data")


def test_a_lock_that_is_a_folder_is_named_by_prepare_and_pretrain(
    project: Path, parts_root: Path, tmp_path: Path
) -> None:
    run = tiny_run("beta-vae")
    for lock, job in (
        (paths.lock("tiny", run.name), lambda: training(project, parts_root)),
        (Path("data/.parts32.lock"), lambda: Job(project, "prepare", "parts32")),
    ):
        lock.mkdir(parents=True)
        ends(job(), 7, str(lock), "a folder is where a file belongs")


@pytest.mark.parametrize("command", ["compare", "report", "table"])
@pytest.mark.parametrize(
    ("obstacle", "code", "words"),
    [
        (a_folder, 7, "a folder is where a file belongs"),
        (a_loop, 7, "these links lead in a circle"),
        (a_dangling_link, 6, "is missing: run its job first"),
    ],
)
def test_what_is_no_file_where_a_cell_belongs(
    obstacle: Obstacle, code: int, words: str, command: str, project: Path
) -> None:
    cell = next(iter(study_cells("tiny"))).path
    cell.parent.mkdir(parents=True)
    obstacle(cell)
    target = ("tiny/table1",) if command == "table" else ("tiny",)
    ends(Job(project, command, *target), code, str(cell), words)


@pytest.mark.parametrize("obstacle", [a_folder, a_loop])
def test_what_is_no_file_where_a_page_belongs(obstacle: Obstacle, project: Path) -> None:
    page = Path("results/tiny/report.html")
    page.parent.mkdir(parents=True)
    obstacle(page)
    if obstacle is a_loop:  # a link is replaced, never followed
        assert Job(project, "report", "tiny").wait() == 0
        assert not page.is_symlink()
    else:
        ends(Job(project, "report", "tiny"), 7, str(page), "a folder is where a file belongs")


def test_results_that_were_removed_under_a_training(project: Path, parts_root: Path) -> None:
    job = training(project, parts_root)
    while job.position() < 1:
        assert job.process.is_alive(), job.text()
    job.stop()
    shutil.rmtree("results")
    job.go_on()
    ends(job, 5, "was removed meanwhile")
    assert not list(project.rglob("*.pt"))


@pytest.mark.parametrize("name", ["a" * 300, "/".join(["a" * 200] * 30)])
def test_a_data_root_whose_name_is_too_long(name: str, project: Path) -> None:
    ends(Job(project, "prepare", "parts32", "--data", name), 7, "File name too long", "shorter")


def test_too_few_file_handles(project: Path, parts_root: Path) -> None:
    """Whatever call the limit hits: done, or one line and exit code 7."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    codes = set()
    for handles in range(8, 40, 4):
        shutil.rmtree("results", ignore_errors=True)
        job = training(project, parts_root)
        resource.prlimit(job.process.pid, resource.RLIMIT_NOFILE, (handles, hard))
        code = job.wait()
        codes.add(code)
        assert code in (0, 7), job.text()
        assert "Traceback" not in job.text()
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == (soft, hard)
    assert 7 in codes
