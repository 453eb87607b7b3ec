"""Weights made elsewhere: read without executing anything, and their names brought to ours."""

import argparse
import io
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from patchvae.errors import CheckpointError

MARK = "layer1.0.conv1.weight"  # what stands before it in a file is an encoder's prefix
DEEPEST = 20  # mappings in mappings, of a file that is read
UNUSED = "num_batches_tracked"  # old files lack it, and nothing depends on it


def read_tensors(path: Path, content: bytes) -> dict[str, Tensor]:
    """Every tensor of a `.safetensors` or `torch.save` file by its dotted name through nested
    mappings.

    A pickle may hold tensors, plain values, numpy's numbers and an `argparse.Namespace`;
    CheckpointError for any other object, whose code would run, and for a broken file.
    """
    if path.suffix == ".safetensors":
        from safetensors import SafetensorError
        from safetensors.torch import load

        try:
            return load(content)
        except (SafetensorError, ValueError, KeyError, TypeError) as error:
            raise CheckpointError(f"{path} is no whole safetensors file ({error})") from None
    try:
        with torch.serialization.safe_globals([argparse.Namespace, *_numpy_numbers()]):
            document = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except MemoryError:
        raise
    except Exception as error:  # a foreign pickle can make the unpickler raise anything
        raise CheckpointError(
            f"{path} is no checkpoint of tensors and plain values ({_reason(error)}): save its "
            "state"
            " dict alone, where you trust the file"
        ) from None
    return dict(_flatten(document, path))


def _reason(error: Exception) -> str:
    """The line of torch's long message that says what was refused."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    named = [line for line in lines if "GLOBAL" in line or "Unsupported" in line]
    return (named or lines or [type(error).__name__])[0]


def _numpy_numbers() -> list[Any]:
    """What a pickle needs for a numpy scalar, such as an old checkpoint's `best_acc`; no objects.

    numpy 1 wrote the same function under another name.
    """
    scalar = np.float64(0).__reduce__()[0]
    kinds = {type(np.dtype(code)) for code in "?bBhHiIlLqQefd"}
    return [scalar, (scalar, "numpy.core.multiarray.scalar"), np.dtype, *kinds]


def _flatten(document: Any, path: Path) -> Iterable[tuple[str, Tensor]]:
    """Tensors with their dotted names, in the order of the file."""
    waiting, levels = [("", document, 0)], 0
    while waiting:
        name, value, levels = waiting.pop()
        if isinstance(value, Tensor):
            yield name, value
        elif isinstance(value, Mapping):
            if levels == DEEPEST:
                raise CheckpointError(
                    f"{path} nests mappings more than {DEEPEST} deep, or one in itself: save its"
                    " state dict alone"
                )
            inner = [(f"{name}.{key}" if name else key, inside, levels + 1)
                     for key, inside in value.items() if isinstance(key, str)]  # fmt: skip
            waiting += reversed(inner)


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

    CheckpointError names those missing, misshapen or unusable.
    """
    state, wrong = dict(wanted), []
    for name, ours in wanted.items():
        theirs = found.get(prefix + name)
        fault = "is missing" if theirs is None else unusable(name, theirs, ours)
        if theirs is not None and not fault:
            state[name] = theirs
        elif not name.endswith(UNUSED):
            wrong.append(f"{prefix}{name} {fault}")
    if wrong:
        more = f" and {len(wrong) - 5} more" if len(wrong) > 5 else ""
        raise CheckpointError(f"{path} does not fit the trunk: {'; '.join(wrong[:5])}{more}")
    return state


def unusable(name: str, theirs: Tensor, ours: Tensor) -> str:
    """Why a tensor cannot stand for ours of this name; empty when it can."""
    if theirs.layout is not torch.strided or theirs.is_quantized or theirs.is_meta:
        return "is sparse, quantised or without data"
    if theirs.is_complex() or theirs.is_floating_point() != ours.is_floating_point():
        return f"holds {theirs.dtype}, not {ours.dtype}".replace("torch.", "")
    if theirs.shape != ours.shape:
        return f"is {tuple(theirs.shape)}, not {tuple(ours.shape)}"
    narrowed = theirs.to(ours.dtype)
    if not torch.isfinite(narrowed).all():
        return f"is not finite as {ours.dtype}".replace("torch.", "")
    return (
        "is negative, a variance" if name.endswith("running_var") and (narrowed < 0).any() else ""
    )


def summary(names: Iterable[str]) -> str:
    """Names by their first two words with counts: `fc.weight, layer3.0 (15)`."""
    names = list(names)
    groups = Counter(".".join(name.split(".")[:2]) for name in names)
    return ", ".join(f"{g} ({n})" if g not in names else g for g, n in groups.items())
