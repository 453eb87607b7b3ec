"""`python -m patchvae`, the form in which the rules call: starts and ends fast.

docs/architecture.md says why.
"""

import atexit
import gc
import os
import sys

gc.set_threshold(200_000)

from patchvae.cli import main  # noqa: E402
from patchvae.runtime.stop import ignore_stops  # noqa: E402


def leave(code: int) -> None:
    """End the process once everything is written and every exit function has run."""
    ignore_stops()
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


try:
    main()
except SystemExit as end:
    leave(end.code if isinstance(end.code, int) else int(end.code is not None))
finally:
    ignore_stops()
leave(0)
