"""A working folder away from any checkout: a study to edit, a Snakefile and profiles."""

import shutil
from pathlib import Path

from patchvae.errors import ConfigError
from patchvae.study.paths import PACKAGE, SHIPPED

STARTER = PACKAGE / "study" / "starter"
FROM_SHIPPED = ("config/README.md", "profiles/**/config.yaml", "slurm/config.yaml")


def start(folder: Path) -> list[Path]:
    """Write what a working folder needs.

    ConfigError, and nothing is written, when one of its files is there.
    """
    sources = {path.relative_to(STARTER): path for path in _files(STARTER, "**/*")}
    for pattern in FROM_SHIPPED:
        sources |= {path.relative_to(SHIPPED): path for path in _files(SHIPPED, pattern)}
    for name in sources:
        if (folder / name).exists():
            raise ConfigError(f"{folder / name} exists already: choose another folder")
    for name, source in sources.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, folder / name)
    return [folder / name for name in sources]


def _files(top: Path, pattern: str) -> list[Path]:
    return sorted(path for path in top.glob(pattern) if path.is_file())
