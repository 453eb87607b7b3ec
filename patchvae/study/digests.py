"""SHA-256 of documents and files: what makes two configurations or two results the same."""

import hashlib
import json
from pathlib import Path
from typing import Any


def digest_of(document: Any) -> str:
    """SHA-256 (hex) over the canonical JSON of a document."""
    canonical = json.dumps(document, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(canonical.encode()).hexdigest()


def file_digest(path: Path, algorithm: str = "sha256") -> str:
    """Hexadecimal digest of a whole file, read in blocks."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, algorithm).hexdigest()
