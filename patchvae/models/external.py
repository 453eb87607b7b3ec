"""A trunk of the user's own.

Weights in torchvision's resnet18 names, probed by the same protocol.
"""

import hashlib
from pathlib import Path

from patchvae.errors import DataError
from patchvae.models.fixed import FixedTrunk
from patchvae.models.foreign import choose_prefix, read_tensors, summary, take
from patchvae.runtime.progress import log


class ExternalTrunk(FixedTrunk):
    """phi from a file; what the trunk has no place for (fc, deeper layers, other networks) is
    logged.
    """

    def __init__(
        self, size: int, *, trunk: str, weights: str, sha256: str, prefix: str | None = None
    ) -> None:
        super().__init__(size, trunk=trunk)
        path = Path(weights)
        content = path.read_bytes()
        if hashlib.sha256(content).hexdigest() != sha256:
            raise DataError(f"{path} has changed since this job was planned: run it again")
        found = read_tensors(path, content)
        chosen = choose_prefix(found, path, prefix)
        ours = self.trunk.state_dict()
        self.trunk.load_state_dict(take(found, chosen, ours, path))
        taken = {chosen + name for name in ours}
        left = [name for name in found if name not in taken]
        log(f"{path}: took {len(found) - len(left)} tensors under '{chosen}'")
        if left:
            log(f"{path}: left out {summary(name.removeprefix(chosen) for name in left)}")
