"""Weights and training state on disk: atomic, digest-checked, never a pickle that can run code."""

import hashlib
import io
import json
import re
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from torch import Tensor, nn

from patchvae.errors import CheckpointError
from patchvae.runtime.progress import log
from patchvae.runtime.results import write_bytes


def save_weights(path: Path, module: nn.Module, metadata: dict[str, str]) -> None:
    """Write a module's state dict as safetensors; the same weights give the same bytes."""
    save_tensors(path, module.state_dict(), metadata)


def save_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: dict[str, str]) -> None:
    """Write tensors by name as safetensors.

    The metadata is one entry, since safetensors writes several in an order drawn at random.
    """
    from safetensors.torch import save

    state = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    write_bytes(path, save(state, {"patchvae": json.dumps(metadata, sort_keys=True)}))


def load_weights(path: Path) -> dict[str, Tensor]:
    """The tensors of a safetensors file; CheckpointError when it is missing or broken."""
    from safetensors import SafetensorError
    from safetensors.torch import load

    try:
        return load(path.read_bytes())
    except FileNotFoundError:
        raise CheckpointError(f"{path} is missing: run its job first") from None
    except SafetensorError as error:
        raise CheckpointError(f"{path} is no whole safetensors file ({error}): delete it") from None


def load_snapshots(path: Path) -> Iterator[tuple[int, dict[str, Tensor]]]:
    """Step and weights of each snapshot, in the order of steps, one in memory at a time.

    CheckpointError as `load_weights`.
    """
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        raise CheckpointError(f"{path} is missing: run its job first")
    try:
        with safe_open(path, "pt") as file:
            by_step: dict[int, list[str]] = {}
            for name in file.keys():  # noqa: SIM118
                by_step.setdefault(int(name.split("/")[0].removeprefix("step")), []).append(name)
            for step in sorted(by_step):
                yield step, {n.partition("/")[2]: file.get_tensor(n) for n in by_step[step]}
    except SafetensorError as error:
        raise CheckpointError(f"{path} is no whole safetensors file ({error}): delete it") from None


def _unpack(path: Path, content: bytes) -> dict[str, Any]:
    try:
        return torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except (UnpicklingError, RuntimeError, EOFError) as error:
        reason = str(error).splitlines()[0]
        raise CheckpointError(f"{path} is no training state ({reason}): delete it") from None


class StateStore:
    """The last two states of one training, in a folder that belongs to it alone.

    The folder above (`paths.state`) belongs to the training's stage of its run.

    A state's name holds its position and the SHA-256 of its bytes, so a broken one is known before
    it is read and the one before it is used.
    """

    NAME = re.compile(r"(\d{10})-([0-9a-f]{64})\.pt")

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def _states(self) -> list[Path]:
        found = self.folder.glob("*.pt") if self.folder.is_dir() else ()
        return sorted(p for p in found if self.NAME.fullmatch(p.name))

    def save(self, position: int, state: dict[str, Any]) -> None:
        """Write a state whole, then drop all but the last two."""
        buffer = io.BytesIO()
        torch.save(state, buffer)
        content = buffer.getvalue()
        name = f"{position:010d}-{hashlib.sha256(content).hexdigest()}.pt"
        write_bytes(self.folder / name, content)
        for old in self._states()[:-2]:
            old.unlink(missing_ok=True)

    def load(self, warn: Any = print) -> dict[str, Any] | None:
        """The newest state whose digest holds, or None; `warn` gets a line for each broken one."""
        for path in reversed(self._states()):
            match = self.NAME.fullmatch(path.name)
            assert match is not None
            content = path.read_bytes()
            if hashlib.sha256(content).hexdigest() == match[2]:
                return _unpack(path, content)
            warn(f"{path} is broken (its SHA-256 is not the one in its name): left out")
        return None

    def clear(self) -> None:
        """The training is done: remove its states and those that others of this stage left."""
        stage = self.folder.parent
        others = [path for path in stage.glob("*/*.pt") if path.parent != self.folder]
        if others:
            size = sum(path.stat().st_size for path in others) / 1e6
            log(
                f"{stage}: removed {len(others)} states of another configuration, code or images"
                f" ({size:.1f} MB)"
            )
        shutil.rmtree(stage, ignore_errors=True)
