"""Fills the arrays of a dataset with decoded images: all cores, bounded memory, resumable.

Images are decoded in chunks of 512. `<split>.done` lists the chunks that are stored, each by a
digest of its images' names and places, so that after a stop only the others are decoded. A chunk
with a bad image is not stored, so that mending the image is enough.
"""

import hashlib
import os
import signal
import threading
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from itertools import islice
from multiprocessing import get_context, parent_process
from pathlib import Path
from typing import NamedTuple

import numpy as np

from patchvae.data.decode import BadImageError, Item, decode
from patchvae.data.writer import Writer, store_rows
from patchvae.errors import DataError, ResourceError
from patchvae.runtime.disk import writing
from patchvae.runtime.progress import Progress
from patchvae.runtime.results import write_text

CHUNK = 512
NAMED = 20  # bad images named in the error itself


class Chunk(NamedTuple):
    """Images that go into rows `start`... of an array."""

    array: Path
    start: int
    items: list[Item]
    size: int
    margin: float

    @property
    def key(self) -> str:
        from PIL import __version__

        return hashlib.sha256(repr((__version__, *self[1:])).encode()).hexdigest()


def fill(
    writer: Writer,
    splits: Mapping[str, Iterable[Item]],
    margin: float = 0.0,
    workers: int | None = None,
) -> None:
    """Decode the images of every split into its array, and store their labels.

    DataError, after all have been tried, that names the images that cannot be decoded; DataError
    when classes or images are not as many as the registry says; `workers` is every core unless
    given.
    """
    writer.check_classes()
    logs = {split: _log(writer, split) for split in splits}
    done = {split: set(log.read_text().split()) for split, log in logs.items()}
    bad: list[str] = []
    chunks = (c for s, items in splits.items() for c in _chunks(writer, s, items, margin))
    seen, total = 0, sum(writer.counts[split] for split in splits)
    with Progress(f"{writer.facts.name}: images", total) as progress:
        for chunk, fresh, failed in _decode_all(chunks, done, workers or _cores()):
            if fresh and not failed:
                with writing(logs[chunk.array.stem]), logs[chunk.array.stem].open("a") as log:
                    log.write(f"{chunk.key}\n")
            bad += failed
            seen += len(chunk.items)
            progress.update(seen, f"{len(bad)} bad" if bad else "")
    if bad:
        _refuse(writer, bad)


def _log(writer: Writer, split: str) -> Path:
    """The list of stored chunks; where there is none for this very array, both are begun anew."""
    log = writer.folder / f"{split}.done"
    heading = hashlib.sha256(repr(writer.facts).encode()).hexdigest()
    if not log.exists() or log.read_text().partition("\n")[0] != heading:
        log.unlink(missing_ok=True)
        writer.images(split, writer.counts[split])
        # last, so that it never speaks of an array that is not there
        write_text(log, f"{heading}\n")
    return log


def _chunks(writer: Writer, split: str, items: Iterable[Item], margin: float) -> Iterator[Chunk]:
    """A split in chunks; its labels are stored at its end."""
    count, start = writer.counts[split], 0
    labels: list[np.ndarray] = []
    items = iter(items)
    while chunk := list(islice(items, CHUNK)):
        labels.append(np.array([item.label for item in chunk]))
        if start + len(chunk) > count:
            total = start + len(chunk) + sum(1 for _ in items)
            writer.wrong(f"{total} {split} images, not {count}")
        yield Chunk(writer.path(split), start, chunk, writer.facts.size, margin)
        start += len(chunk)
    if start != count:
        writer.wrong(f"{start} {split} images, not {count}")
    if split != "unlabelled":
        writer.labels(split, np.concatenate(labels))


def _decode_all(
    chunks: Iterator[Chunk], done: Mapping[str, set[str]], workers: int
) -> Iterator[tuple[Chunk, bool, list[str]]]:
    """Each chunk, whether it was decoded now, and its bad images."""
    pool = ProcessPoolExecutor(workers, get_context("spawn"), _follow_parent)
    waiting: deque[tuple[Chunk, Future[list[str]]]] = deque()
    try:
        for chunk in chunks:
            if chunk.key in done[chunk.array.stem]:
                yield chunk, False, []
                continue
            waiting.append((chunk, pool.submit(_decode_chunk, chunk)))
            if len(waiting) > 2 * workers:
                first, future = waiting.popleft()
                yield first, True, future.result()
        for chunk, future in waiting:
            yield chunk, True, future.result()
    except BrokenProcessPool:
        raise ResourceError(
            "a decoding process was ended from outside, perhaps for its memory: "
            "run `patchvae prepare` again, it continues"
        ) from None
    finally:
        pool.shutdown(cancel_futures=True)


def _decode_chunk(chunk: Chunk) -> list[str]:
    """Decode and store; the bad images, with reasons (nothing is stored then)."""
    block = np.empty((len(chunk.items), chunk.size, chunk.size, 3), np.uint8)
    bad = []
    for row, item in zip(block, chunk.items, strict=True):
        try:
            row[:] = decode(item, chunk.size, chunk.margin)
        except BadImageError as error:
            bad.append(f"{item.name} ({error})")
    if not bad:
        store_rows(chunk.array, chunk.start, block)
    return bad


def _follow_parent() -> None:
    """End a worker when its parent ends, however that ends; leave Ctrl-C to the parent."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = parent_process()
    assert parent is not None

    def watch() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _cores() -> int:
    return len(os.sched_getaffinity(0))


def _refuse(writer: Writer, bad: list[str]) -> None:
    text = ", ".join(bad[:NAMED])
    if len(bad) > NAMED:
        listing = writer.beside("bad_images.txt")
        write_text(listing, "\n".join(bad) + "\n")
        text += f" and {len(bad) - NAMED} more, all listed in {listing}"
    raise DataError(
        f"{len(bad)} images of '{writer.facts.name}' cannot be decoded: {text}: "
        "replace them and run again"
    )
