"""The head processes of a folder: which of them live, and whether a lock of Snakemake is anybody's.

Snakemake's lock says neither who holds it nor whether it lives. So each head holds one of ours
beside it, and the next removes the locks of heads that were killed on this machine.
"""

import atexit
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from typing import Any
from uuid import uuid4

from patchvae.runtime.lock import live_holder, locked, read_holder
from patchvae.runtime.progress import log

HEADS = Path(".snakemake/heads")
LOCKS = Path(".snakemake/locks")
MINE = HEADS / f"{uuid4()}.lock"
_held = ExitStack()


@cache  # a workflow may have ours as several modules
def enter() -> None:
    """Be known as a head of this folder until the process ends; remove locks that are nobody's.

    They are where every head that has left a record was killed and was of this machine. Where that
    cannot be known they stay, and a line says what to do.
    """
    left = sorted(LOCKS.glob("*.lock"))  # before the heads: one that comes now keeps its own
    _held.enter_context(locked(MINE, guards=False))
    atexit.register(_held.close)
    records = _others()  # once: one that comes now lives
    if any(map(live_holder, records)):
        return
    if left:
        me, killed = read_holder(MINE), [read_holder(path) for path in records]
        if not killed or not all(_ended(me, head) for head in killed):
            log(_doubt([head for head in killed if not _ended(me, head)]))
            return
        for path in left:
            path.unlink(missing_ok=True)
        log(f"removed Snakemake's lock: {_names(killed)} was killed")
    for path in records:
        path.unlink(missing_ok=True)


def others_live() -> bool:
    """Whether another head works in this folder."""
    return any(map(live_holder, _others()))


def _others() -> list[Path]:
    return [path for path in HEADS.glob("*.lock") if path != MINE]


def _ended(me: dict[str, Any] | None, head: dict[str, Any] | None) -> bool:
    """Whether a head that gives no sign has ended for certain: its machine's kernel says so."""
    return bool(me and head and me["boot"] and head["boot"] == me["boot"])


def _doubt(unknown: list[dict[str, Any] | None]) -> str:
    of = f" perhaps of {_names(unknown)}" if unknown else ""
    return (
        f"Snakemake's lock of an earlier start is left{of}: once no snakemake works in this folder,"
        " on any machine, run the same command with --unlock, then again without"
    )


def _names(heads: list[dict[str, Any] | None]) -> str:
    return ", ".join(f"{head['host']} process {head['pid']}" for head in heads if head)
