"""Digests of results made before a choice became a key still stand: what they leave out."""

from collections.abc import Mapping
from typing import Any

# What the code did before a choice became a key. Such a value is left out of digests, so that
# results made before stand; it is history, and never changes with a default.
BEFORE: Mapping[str, Mapping[str, Any]] = {
    "data": {"inputs": "symmetric"},
    "model": {"random_statistics": "initial", "temperature_law": "closed", "discriminator": "ours"},
    "reconstruction": {"reduction": "sum", "scale": "pixels", "laplacian": 4, "channels": "mean"},
    "init": {"heads": "pytorch", "decoder": "pytorch", "discriminator": "pytorch"},
    "adversarial": {"discriminator": "ours"},
    "pretrain": {"lr_step": 0, "lr_factor": 10.0},
    "probe": {
        "dropout": 0.0,
        "init": "pytorch",
        "frozen_bn": "eval",
        "affine": "trained",
        "report": "last",
        "images": 0,
        "snapshot": 0,
    },
}


def standing(document: Mapping[str, Any]) -> dict[str, Any]:
    """A configuration without the values of `BEFORE` and the sections that this leaves empty."""
    found: dict[str, Any] = {}
    for name, content in document.items():
        if name == "encoder":
            content = standing(content)
        elif name in BEFORE and content is not None:
            known = BEFORE[name]
            content = {k: v for k, v in content.items() if k not in known or v != known[k]}
            if not content and name in ("reconstruction", "init"):
                continue
        found[name] = content
    return found
