"""Checkpoints of the authors' released code, converted to our files.

No file of theirs came with the paper: what is known is the architecture (Tables 6-9). So tensors
are mapped by what identifies them, torchvision's names or the order of their shapes, and anything
that could be meant in two ways is refused.
"""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from patchvae.errors import CheckpointError, DataError
from patchvae.models.foreign import UNUSED, choose_prefix, prefixes, read_tensors, unusable
from patchvae.models.losses import Reconstruction
from patchvae.models.patchvae import PatchVAE, Prior
from patchvae.models.schedules import Temperature
from patchvae.models.trunk import Trunk
from patchvae.runtime.checkpoint import save_weights
from patchvae.study import paths

Names = dict[str, str]  # ours -> theirs
MEAN, LOG_VARIANCE = re.compile(r"mu|mean"), re.compile(r"var")


@dataclass(frozen=True)
class Imported:
    """What was found: our module, where each of its tensors came from, and the names not used."""

    module: nn.Module
    trunk: Trunk
    origin: dict[str, str]
    left: list[str]


def convert(path: Path, encoder_only: bool = False, prefix: str | None = None) -> Imported:
    """The trunk, or the whole PatchVAE, of a checkpoint.

    CheckpointError names what is missing or ambiguous.
    """
    if not path.is_file():
        raise DataError(f"{path} does not exist: give the path of a checkpoint")
    found = read_tensors(path, path.read_bytes())
    found = {name: value for name, value in found.items() if not name.endswith(UNUSED)}
    trunk, names = _trunk(found, path, prefix)
    if encoder_only:
        return _imported(trunk, trunk, names, found, {}, path)
    rest = {name: value for name, value in found.items() if name not in names.values()}
    visibility, appearance = _heads(rest, trunk.channels, path)
    N = len(rest[visibility])
    D = sum(len(rest[name]) for name in appearance) // (2 * N)
    # what no tensor holds, such as the temperature, is the default: it is not in our file either
    model = PatchVAE(
        64,
        Reconstruction(),
        trunk=trunk.name,
        num_parts=N,
        part_dim=D,
        prior=Prior(1 / N),
        temperature=Temperature(),
    )
    names = {f"trunk.{ours}": theirs for ours, theirs in names.items()}
    decoder = _in_order(rest, model.decoder, path, f"decoder of {N} parts with {D} dimensions")
    names |= {f"decoder.{ours}": theirs for ours, theirs in decoder.items()}
    names |= {f"visibility.{kind}": _sibling(visibility, kind) for kind in ("weight", "bias")}
    joined = {
        f"appearance.{kind}": [_sibling(name, kind) for name in appearance]
        for kind in ("weight", "bias")
    }
    return _imported(model, trunk, names, found, joined, path)


def write(imported: Imported, source: Path, folder: Path) -> list[Path]:
    """`encoder.safetensors` and, of a whole model, `model.safetensors`; the paths written."""
    metadata = {"imported": hashlib.sha256(source.read_bytes()).hexdigest()}
    written = [folder / paths.ENCODER]
    save_weights(written[0], imported.trunk, metadata)
    if imported.module is not imported.trunk:
        written.append(folder / paths.MODEL)
        save_weights(written[1], imported.module, metadata)
    return written


def _trunk(found: Mapping[str, Tensor], path: Path, prefix: str | None) -> tuple[Trunk, Names]:
    """The deepest trunk in the file, by torchvision's names, else by shapes in order."""
    if prefixes(found):
        chosen = choose_prefix(found, path, prefix)
        trunk = Trunk("resnet18" if f"{chosen}layer4.1.bn2.bias" in found else "resnet9")
        return trunk, {name: chosen + name for name in _wanted(trunk)}
    for name in ("resnet18", "resnet9"):
        trunk = Trunk(name)
        if _places(found, trunk):
            return trunk, _in_order(found, trunk, path, "trunk")
    raise CheckpointError(f"{path} holds no trunk: neither torchvision's names nor its shapes")


def _wanted(module: nn.Module) -> dict[str, Tensor]:
    return {n: value for n, value in module.state_dict().items() if not n.endswith(UNUSED)}


def _signature(state: Mapping[str, Tensor]) -> list[tuple[str, torch.Size]]:
    """What each tensor is to its layer, and its shape."""
    return [(name.rpartition(".")[2], value.shape) for name, value in state.items()]


def _places(found: Mapping[str, Tensor], module: nn.Module) -> list[int]:
    """Where the file has a module's tensors, one after the other."""
    theirs, ours = _signature(found), _signature(_wanted(module))
    return [k for k in range(len(theirs)) if theirs[k : k + len(ours)] == ours]


def _in_order(found: Mapping[str, Tensor], module: nn.Module, path: Path, what: str) -> Names:
    places, wanted = _places(found, module), _wanted(module)
    if len(places) != 1:
        raise CheckpointError(
            f"{path} has {len(places)} sequences of tensors with the shapes of the {what}, not one"
            f"{'' if what == 'trunk' else ': try --encoder-only'}"
        )
    names = list(found)[places[0] : places[0] + len(wanted)]
    return dict(zip(wanted, names, strict=True))


def _sibling(weight: str, kind: str) -> str:
    return f"{weight.removesuffix('weight')}{kind}"


def _heads(rest: Mapping[str, Tensor], C: int, path: Path) -> tuple[str, list[str]]:
    """The 3 x 3 convolutions on phi: the visibility's weight, and the appearance's, means first."""
    convs = [
        name
        for name, value in rest.items()
        if name.endswith(".weight")
        and value.shape[1:] == (C, 3, 3)
        and _sibling(name, "bias") in rest
    ]
    size = {name: len(rest[name]) for name in convs}
    fewest = [name for name in convs if size[name] == min(size.values())]
    others = [name for name in convs if name not in fewest]
    per_part = 2 if len(others) == 1 else 1
    if (
        len(fewest) != 1
        or len(others) not in (1, 2)
        or len({size[name] for name in others}) != 1
        or size[others[0]] % (per_part * size[fewest[0]])
    ):
        listed = ", ".join(f"{name} ({n} channels)" for name, n in size.items()) or "none"
        raise CheckpointError(
            f"{path}: its 3 x 3 convolutions on the features ({listed}) are not one for visibility"
            " and one or two for appearance: try --encoder-only"
        )
    return fewest[0], others if len(others) == 1 else _mean_first(others, path)


def _mean_first(names: Sequence[str], path: Path) -> list[str]:
    """By the word in which two names of the same shape differ."""
    own = [name.split(".")[-2].lower() for name in names]
    mean = [n for n, w in zip(names, own, strict=True) if MEAN.search(w)]
    variance = [n for n, w in zip(names, own, strict=True) if LOG_VARIANCE.search(w)]
    if len(mean) != 1 or len(variance) != 1 or mean == variance:
        raise CheckpointError(
            f"{path}: which of {' and '.join(names)} is the mean and which the log-variance, their"
            " names do not say: rename them, or try --encoder-only"
        )
    return [*mean, *variance]


def _join(state: dict[str, Tensor], name: str, theirs: list[Tensor]) -> str:
    """Set one of our tensors from theirs, one behind the other; why not, or nothing."""
    parts = state[name].chunk(len(theirs))
    if len(parts) != len(theirs):
        return f"is not {len(theirs)} tensors"
    for part, ours in zip(theirs, parts, strict=True):
        if fault := unusable(name, part, ours):
            return fault
    state[name] = torch.cat(theirs)
    return ""


def _imported(
    module: nn.Module,
    trunk: Trunk,
    names: Names,
    found: Mapping[str, Tensor],
    joined: Mapping[str, list[str]],
    path: Path,
) -> Imported:
    """Fill our module; CheckpointError names tensors that are missing, misshapen or unusable."""
    parts = {ours: [theirs] for ours, theirs in names.items()} | dict(joined)
    state, wrong = module.state_dict(), []
    for ours, theirs in parts.items():
        lacking = [name for name in theirs if name not in found]
        fault = "is missing" if lacking else _join(state, ours, [found[name] for name in theirs])
        if fault:
            wrong.append(f"{' + '.join(theirs)} for {ours} {fault}")
    if wrong:
        raise CheckpointError(f"{path}: {'; '.join(wrong[:5])}")
    module.load_state_dict(state)
    if isinstance(module, PatchVAE):
        trunk = module.trunk
    origin = {ours: " + ".join(theirs) for ours, theirs in parts.items()}
    used = {name for theirs in parts.values() for name in theirs}
    return Imported(module, trunk, origin, [name for name in found if name not in used])
