"""How long jobs that need each other take on some devices or cores."""

import heapq
from collections.abc import Mapping, Sequence

from patchvae.planning.jobs import Job


def makespan(
    jobs: Sequence[Job],
    seconds: Mapping[Job, float],
    slots: int,
    slotted: tuple[str, ...] | None = None,
) -> float:
    """Seconds until all jobs are done when the first that is ready takes the first free slot.

    Kinds not in `slotted` take no slot; None means that all do. A job without seconds takes none.
    """
    place = {job: i for i, job in enumerate(jobs)}
    missing = [sum(before in place for before in job.needs) for job in jobs]
    after: dict[Job, list[int]] = {}
    for job, i in place.items():
        for before in job.needs:
            after.setdefault(before, []).append(i)
    takes = [slotted is None or job.kind in slotted for job in jobs]
    ready: dict[bool, list[int]] = {True: [], False: []}
    for i, count in enumerate(missing):
        if not count:
            ready[takes[i]].append(i)
    busy: list[tuple[float, int]] = []
    now, free = 0.0, slots
    while busy or any(ready.values()):
        while ready[False] or (free and ready[True]):
            i = heapq.heappop(ready[False] or ready[True])
            free -= takes[i]
            heapq.heappush(busy, (now + seconds.get(jobs[i], 0.0), i))
        now, i = heapq.heappop(busy)
        free += takes[i]
        for later in after.get(jobs[i], ()):
            missing[later] -= 1
            if not missing[later]:
                heapq.heappush(ready[takes[later]], later)
    return now
