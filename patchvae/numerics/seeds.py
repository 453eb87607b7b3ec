"""Seeds of the random streams.

Every one is a function of the run's seed and of what it is drawn for.
"""

import numpy as np


def derive_seed(*words: int | str) -> int:
    """A 63-bit seed from a path of words; different words give independent streams."""
    entropy = [int.from_bytes(str(word).encode(), "little") for word in words]
    return int(np.random.SeedSequence(entropy).generate_state(1, np.uint64)[0] >> 1)
