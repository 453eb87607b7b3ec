"""The benchmarks are scripts beside each other; their tests import them as they import each other."""

import sys

from small_study import REPO

sys.path.append(str(REPO / "benchmarks"))
