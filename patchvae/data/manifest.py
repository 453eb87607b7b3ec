"""The manifest of a prepared dataset: what each file must be, sealed by a digest of itself."""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np

from patchvae.errors import DataError
from patchvae.runtime.results import read_sealed, write_sealed
from patchvae.study.digests import file_digest

FORMAT = 1
FULL_CHECK = 256 * 2**20  # larger files are checked by sampled blocks when opened
BLOCKS, BLOCK = 64, 2**16


def sampled_digest(path: Path) -> str:
    """SHA-256 over 64 blocks of 64 KiB, evenly spaced from the first byte to the last."""
    last = max(path.stat().st_size - BLOCK, 0)
    digest = hashlib.sha256()
    with path.open("rb") as f:
        for k in range(BLOCKS):
            f.seek(last * k // (BLOCKS - 1))
            digest.update(f.read(BLOCK))
    return digest.hexdigest()


def describe(path: Path) -> dict[str, Any]:
    """Shape, dtype, bytes and digests of one `.npy` file."""
    array = np.load(path, mmap_mode="r")
    return {
        "shape": list(array.shape),
        "dtype": str(array.dtype),
        "bytes": path.stat().st_size,
        "sha256": file_digest(path),
        "sampled": sampled_digest(path),
    }


def seal(body: dict[str, Any]) -> str:
    """SHA-256 over JSON with sorted keys and spaces after its commas, as in the first manifests."""
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()


def write_manifest(folder: Path, manifest: dict[str, Any]) -> None:
    """Seal the manifest and bring it to disk."""
    write_sealed(folder / "manifest.json", manifest, seal)


def read_manifest(folder: Path, mend: str) -> dict[str, Any]:
    """The manifest of a prepared folder; DataError when altered or of another format."""
    path = folder / "manifest.json"
    try:
        manifest, intact = read_sealed(path, seal)
    except ValueError:
        intact = False
    if not intact:
        raise DataError(f"{path} is damaged: {mend}")
    if manifest["format"] != FORMAT:
        raise DataError(f"{path} has format {manifest['format']}, not {FORMAT}: {mend}")
    return manifest


def check_files(folder: Path, manifest: dict[str, Any], full: bool, mend: str) -> None:
    """Size and digest of every file; `full` hashes the large ones completely too."""
    for name, facts in manifest["files"].items():
        path = folder / name
        if not path.is_file():
            raise DataError(f"{path} is missing: {mend}")
        size = path.stat().st_size
        if size != facts["bytes"]:
            raise DataError(f"{path} has {size} bytes, not {facts['bytes']}: {mend}")
        if full or size <= FULL_CHECK:
            same = file_digest(path) == facts["sha256"]
        else:
            same = sampled_digest(path) == facts["sampled"]
        if not same:
            raise DataError(f"{path} was altered (SHA-256 differs): {mend}")
