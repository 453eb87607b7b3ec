"""Weights made elsewhere: read without executing anything, and their names brought to ours."""

import argparse
import io
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from torch import Tensor

from patchvae.errors import CheckpointError

MARK = "layer1.0.conv1.weight"  # what stands before it in a file is an encoder's prefix
UNUSED = "num_batches_tracked"  # old files lack it, and nothing depends on it


def read_tensors(path: Path, content: bytes) -> dict[str, Tensor]:
    """Every tensor of a `.safetensors` or `torch.save` file by its dotted name through nested
    mappings.

    A pickle may hold tensors, plain values and an `argparse.Namespace`; CheckpointError for any
    other object, whose code would run, and for a broken file.
    """
    if path.suffix == ".safetensors":
        from safetensors import SafetensorError
        from safetensors.torch import load

        try:
            return load(content)
        except SafetensorError as error:
            raise CheckpointError(f"{path} is no whole safetensors file ({error})") from None
    try:
        with torch.serialization.safe_globals([argparse.Namespace]):
            document = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except (UnpicklingError, RuntimeError, EOFError, ValueError, KeyError, IndexError) as error:
        raise CheckpointError(
            f"{path} is no checkpoint of tensors and plain values ({_reason(error)}): save its "
            "state"
            " dict alone, where you trust the file"
        ) from None
    return dict(_flatten(document, ""))


def _reason(error: Exception) -> str:
    """The line of torch's long message that says what was refused."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    named = [line for line in lines if "GLOBAL" in line or "Unsupported" in line]
    return (named or lines or [type(error).__name__])[0]


def _flatten(value: Any, name: str) -> Iterable[tuple[str, Tensor]]:
    if isinstance(value, Tensor):
        yield name, value
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            if isinstance(key, str):
                yield from _flatten(inner, f"{name}.{key}" if name else key)


def prefixes(found: Iterable[str]) -> list[str]:
    """What stands before the names of each resnet in a file, such as `state_dict.module.`."""
    return [name.removesuffix(MARK) for name in found if f".{name}".endswith(f".{MARK}")]


def choose_prefix(found: Iterable[str], path: Path, wanted: str | None = None) -> str:
    """The one prefix that ends in `wanted`; CheckpointError when none or several do."""
    known = prefixes(found)
    fitting = [p for p in known if wanted is None or f".{p}".endswith(f".{wanted}")]
    if wanted in known:
        fitting = [str(wanted)]
    if len(fitting) == 1:
        return fitting[0]
    listed = ", ".join(f"'{p}'" for p in known)
    if not known:
        raise CheckpointError(f"{path} holds no resnet in torchvision's names: no '{MARK}' in it")
    if not fitting:
        raise CheckpointError(f"{path} has no encoder with prefix '{wanted}': it has {listed}")
    raise CheckpointError(f"{path} holds several encoders ({listed}): choose one by 'prefix'")


def take(
    found: Mapping[str, Tensor], prefix: str, wanted: Mapping[str, Tensor], path: Path
) -> dict[str, Tensor]:
    """`wanted`'s tensors out of a file.

    CheckpointError names those missing, misshapen or not finite.
    """
    state, wrong = dict(wanted), []
    for name, ours in wanted.items():
        theirs = found.get(prefix + name)
        if theirs is not None and theirs.shape == ours.shape and torch.isfinite(theirs).all():
            state[name] = theirs
        elif theirs is None and not name.endswith(UNUSED):
            wrong.append(f"{prefix}{name} is missing")
        elif theirs is not None and theirs.shape != ours.shape:
            wrong.append(f"{prefix}{name} is {tuple(theirs.shape)}, not {tuple(ours.shape)}")
        elif theirs is not None:
            wrong.append(f"{prefix}{name} is not finite")
    if wrong:
        more = f" and {len(wrong) - 5} more" if len(wrong) > 5 else ""
        raise CheckpointError(f"{path} does not fit the trunk: {'; '.join(wrong[:5])}{more}")
    return state


def summary(names: Iterable[str]) -> str:
    """Names by their first two words with counts: `fc.weight, layer3.0 (15)`."""
    names = list(names)
    groups = Counter(".".join(name.split(".")[:2]) for name in names)
    return ", ".join(f"{g} ({n})" if g not in names else g for g, n in groups.items())
