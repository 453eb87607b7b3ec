"""Jobs in a container, and what the two files that make one have in common.

Neither Docker nor Apptainer runs in tests: a program of the name `apptainer` writes down how it is
called and runs the command here.
"""

import os
import re
import shlex
from pathlib import Path

from checkout import Checkout
from small_study import REPO

DOCKERFILE = (REPO / "Dockerfile").read_text()
DEFINITION = (REPO / "apptainer.def").read_text()
STAND_IN = """\
#!/bin/sh
[ "$1" = --version ] && { echo apptainer version 1.4.0; exit; }
echo "$@" >> calls
while [ "$1" != -c ]; do shift; done
exec bash -c "$2"
"""
RUN = "results/tiny/runs/parts32/random/plain/seed0/pretrain/metrics.json"


def test_with_apptainer_every_job_runs_in_the_image(fresh: Checkout) -> None:
    program = fresh.folder / "bin" / "apptainer"
    program.parent.mkdir()
    program.write_text(STAND_IN)
    program.chmod(0o755)
    fresh.env["PATH"] = os.pathsep.join([str(program.parent), fresh.env["PATH"]])
    done = fresh.snakemake("--sdm", "apptainer", "--apptainer-args=--nv", RUN)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (fresh.folder / RUN).is_file()
    calls = (fresh.folder / "calls").read_text().splitlines()
    for call, job in zip(calls, ("prepare parts32", "pretrain results"), strict=True):
        assert call.startswith(f"exec --home {fresh.folder} --nv ")
        assert f" patchvae.sif bash -c set -euo pipefail;  exec python -m patchvae {job}" in call


def test_both_files_make_the_same() -> None:
    base = re.search(r"^FROM (.*)", DOCKERFILE, re.M)[1]
    assert re.search(r"^From: (.*)", DEFINITION, re.M)[1] == base
    install = re.search(r"pip install .*", DOCKERFILE)[0]
    assert install in DEFINITION
    assert "--constraint constraints.txt" in install


def test_what_they_copy_exists_and_is_the_same() -> None:
    workdir = Path(re.search(r"^WORKDIR (.*)", DOCKERFILE, re.M)[1])
    copied = {}
    for line in re.findall(r"^COPY (.*)", DOCKERFILE, re.M):
        *sources, target = shlex.split(line)
        for source in sources:
            copied[source] = str(workdir / (source if target == "./" else target))
    listed = re.search(r"^%files\n(.*?)\n\n", DEFINITION, re.M | re.S)[1]
    assert dict(line.split() for line in listed.splitlines()) == copied
    assert all((REPO / source).exists() for source in copied)
