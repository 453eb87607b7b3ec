"""`patchvae export`: a study as a Workflow Run RO-Crate (profile 0.5, RO-Crate 1.1).

The crate's graph has the workflow, its one run (`CreateAction`: configuration and prepared images
in, numbers, tables and figures out), and every file. What is exported twice has the same bytes.
"""

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from patchvae import __version__
from patchvae.errors import ConfigError
from patchvae.planning.jobs import PREPARE
from patchvae.runtime.disk import writing
from patchvae.runtime.results import read_result
from patchvae.share.archive import files_below, pack, write_list
from patchvae.share.cards import CARD, LICENCE
from patchvae.share.contents import Finished, fill, finished
from patchvae.study import paths
from patchvae.study.config import load_study

RUN_PROFILES = "https://w3id.org/ro/wfrun"
PROFILES = {
    f"{RUN_PROFILES}/process/0.5": "Process Run Crate",
    f"{RUN_PROFILES}/workflow/0.5": "Workflow Run Crate",
    "https://w3id.org/workflowhub/workflow-ro-crate/1.0": "Workflow RO-Crate",
}
BIOSCHEMAS = "https://bioschemas.org/profiles/ComputationalWorkflow/1.0-RELEASE"
WORKFLOW = "workflow/Snakefile"
HOW = """\
`sha256sum -c manifest-sha256.txt` checks every file. Each encoder has a card beside it
(`results/.../pretrain/README.md`). `patchvae import` puts the trainings into a project that has the
same study, where Snakemake takes them for done."""
# by suffix: what a reader of the graph needs to open a file
FORMATS = {
    ".json": "application/json",
    ".csv": "text/csv",
    ".md": "text/markdown",
    ".html": "text/html",
    ".yaml": "application/yaml",
    ".yml": "application/yaml",
    ".tex": "application/x-tex",
    ".pdf": "application/pdf",
    ".png": "image/png",
    ".parquet": "application/vnd.apache.parquet",
    ".npz": "application/zip",
    ".safetensors": "application/octet-stream",
}


def export(study: str, to: Path, partial: bool = False) -> Finished:
    """Write a study's crate to the folder `to`, or to that zip file; returns what it holds.

    ConfigError when something is there or `rocrate` is not installed, CheckpointError when a job
    of the study is not done, unless `partial`. What fails leaves nothing.
    """
    if os.path.lexists(to):
        raise ConfigError(f"{to} exists already: choose another name")
    library = _library()
    found = finished(study, partial)
    with writing(to):
        to.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=to.parent, prefix=".new-") as scratch:
            folder = Path(scratch, "crate")
            folder.mkdir()
            fill(folder, found)
            _describe(library, folder, found)
            write_list(folder)
            if to.suffix == ".zip":
                pack(folder, Path(scratch, "crate.zip"))
                os.replace(Path(scratch, "crate.zip"), to)
            else:
                folder.rename(to)
    return found


def _library() -> Any:
    """The class of RO-Crates of the library `rocrate`."""
    try:
        from rocrate.rocrate import ROCrate
    except ImportError:
        raise ConfigError(
            "exporting needs rocrate: pip install rocrate, or the package with its extra [share]"
        ) from None
    return ROCrate


def _describe(library: Any, folder: Path, found: Finished) -> None:
    """Write the README and `ro-crate-metadata.json` over all that lies in the folder."""
    study = load_study(found.study)
    about = (
        f"Numbers, weights and code behind the study '{study.name}' of PatchVAE, reproduced:"
        f" {len(found.trainings)} trainings."
    )
    if found.lacking:
        about += f" Not finished, and not in it: {len(found.lacking)} jobs."
    lines = [f"# {study.title}", about, *(f"- {line}" for line in found.lacking), HOW]
    (folder / CARD).write_text("\n\n".join(lines) + "\n", encoding="utf-8")

    crate = library(version="1.1")
    crate.name, crate.description = study.title, about
    crate.license = _entity(
        crate, f"https://spdx.org/licenses/{LICENCE}", "CreativeWork", name=f"{LICENCE} licence"
    )
    run = _run(crate, _add_files(crate, folder), found)
    crate.datePublished = run["endTime"]
    crate.root_dataset["mentions"] = run
    crate.root_dataset["conformsTo"] = [
        _entity(crate, address, "CreativeWork", name=name, version=address.rsplit("/", 1)[1])
        for address, name in PROFILES.items()
    ]
    crate.metadata.write(folder)


def _run(crate: Any, files: Mapping[str, Any], found: Finished) -> Any:
    """The one run of the workflow: what went in, what came out, when."""
    metrics = [read_result(job.target, job.kind, check_files=False) for job in found.trainings]
    made = [result["provenance"] for result in metrics]
    stamps = {str(job.target) for job in found.jobs if job.kind == PREPARE}
    given = {n for n in files if n in stamps or n.startswith(f"{paths.CONFIG}/")}
    results = (f"{paths.RESULTS}/", "tables/", "figures/")
    return _entity(
        crate,
        "#run",
        "CreateAction",
        name=f"Study {found.study}",
        description=crate.description,
        startTime=min(m["started"] for m in made),
        endTime=max(m["ended"] for m in made),
        instrument=files[WORKFLOW],
        object=[files[name] for name in sorted(given)],
        result=[f for name, f in files.items() if name.startswith(results) and name not in given],
    )


def _add_files(crate: Any, folder: Path) -> dict[str, Any]:
    """Every file of the folder as an entity, by name, the workflow as the main one."""
    found = {}
    for path in files_below(folder):
        name = path.relative_to(folder).as_posix()
        facts: dict[str, Any] = {"contentSize": str(path.stat().st_size)}
        facts["encodingFormat"] = FORMATS.get(path.suffix, "text/plain")
        if name == WORKFLOW:
            facts |= {"name": "PatchVAE, reproduced", "version": __version__}
            found[name] = crate.add_workflow(
                path, name, properties=facts, main=True, lang="snakemake"
            )
            found[name]["conformsTo"] = {"@id": BIOSCHEMAS}
        else:
            if name == CARD:
                facts["about"] = {"@id": "./"}
            found[name] = crate.add_file(path, name, properties=facts)
    return found


def _entity(crate: Any, address: str, kind: str, **properties: Any) -> Any:
    from rocrate.model.contextentity import ContextEntity

    return crate.add(ContextEntity(crate, address, {"@type": kind, **properties}))
