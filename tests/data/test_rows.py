"""Scattered rows of a file."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch

from patchvae.data.rowfile import RowFile
from patchvae.data.rows import read_rows


def test_rows_come_from_their_offsets_and_the_end_of_the_file_is_noticed(tmp_path: Path) -> None:
    content = np.arange(40, dtype=np.uint8)
    (tmp_path / "a").write_bytes(content.tobytes())
    file, into = os.open(tmp_path / "a", os.O_RDONLY), np.zeros((3, 8), np.uint8)
    assert read_rows(file, np.array([30, 3, 30]), into)
    np.testing.assert_array_equal(into, [content[30:38], content[3:11], content[30:38]])
    assert not read_rows(file, np.array([0, 33]), into[:2])
    os.close(file)


def test_a_row_that_was_never_written_is_an_error() -> None:
    rows = RowFile(torch.Size([2, 1, 1]), False, torch.device("cpu"))
    rows.append(torch.arange(6.0).view(3, 2, 1, 1))
    assert rows[torch.tensor([2, 0])].flatten().tolist() == [4, 5, 0, 1]
    with pytest.raises(IndexError, match="beyond the 3"):
        rows[torch.tensor([1, 3])]
