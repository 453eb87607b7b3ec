"""Benchmarks are scripts beside each other; tests import them as they import each other."""

import sys

from small_study import REPO

sys.path.append(str(REPO / "benchmarks"))
