"""Rows of floats in an unnamed temporary file, for features that memory does not hold."""

import shutil
import tempfile

import torch
from torch import Tensor

from patchvae.data.rows import read_rows
from patchvae.runtime.disk import writing


class RowFile:
    """float32 (n, C, h, w) on disk ($TMPDIR); indexing reads rows and puts them on the device.

    The file has no name and vanishes with the process. Rows are read, not mapped, so that they do
    not count as resident memory; the system's page cache keeps what it can. The bytes are those
    that were written, and the batches have the memory layout that `channels_last` says.
    """

    def __init__(self, shape: torch.Size, channels_last: bool, device: torch.device) -> None:
        self.channels_last, self.device = channels_last, device
        C, *sides = shape
        self.stored = (*sides, C) if channels_last else tuple(shape)
        self.row_bytes = 4 * shape.numel()
        self.n = 0
        self._file = tempfile.TemporaryFile(prefix="patchvae-features-")  # noqa: SIM115

    def __len__(self) -> int:
        return self.n

    def append(self, block: Tensor) -> None:
        """Write (B, C, h, w) behind what is there; ResourceError on a full disk."""
        rows = block.permute(0, 2, 3, 1) if self.channels_last else block
        with writing(f"{tempfile.gettempdir()} for features (set TMPDIR for another folder)"):
            self._file.write(rows.contiguous().cpu().numpy().data)
            self._file.flush()
        self.n += len(block)

    def __getitem__(self, index: Tensor) -> Tensor:
        rows = torch.empty((len(index), *self.stored), pin_memory=self.device.type == "cuda")
        offsets = index.cpu().numpy() * self.row_bytes
        if not read_rows(self._file.fileno(), offsets, rows.view(len(index), -1).numpy()):
            raise IndexError(f"a row beyond the {self.n} of the file")
        rows = rows.to(self.device, non_blocking=True)
        return rows.permute(0, 3, 1, 2) if self.channels_last else rows


def disk_room() -> int:
    """Bytes of features that the temporary folder may take: half of what is free there."""
    return shutil.disk_usage(tempfile.gettempdir()).free // 2
