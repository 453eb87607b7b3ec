"""The C library's memory, which every step of a training on a CPU asks for and gives back."""

import ctypes

TRIM, MMAP = -1, -3  # M_TRIM_THRESHOLD and M_MMAP_THRESHOLD of glibc's malloc.h
KEPT = 1 << 30  # bytes


def keep_freed_memory() -> None:
    """Have what tensors free reused instead of given back to the system, up to 1 GiB.

    By default glibc returns large blocks at once, and getting them anew costs a page fault for
    every 4 KiB: a tenth of a step of pretraining (docs/cost.md). Numbers do not change. Other C
    libraries are left as they are.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(TRIM, KEPT)
        mallopt(MMAP, KEPT)
