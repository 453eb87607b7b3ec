"""What must start fast imports nothing heavy. Which folder imports which, `make lint` checks."""

import subprocess
import sys

from small_study import REPO

HEAVY = ("torch", "torchvision", "pandas", "matplotlib", "seaborn", "scipy", "PIL", "skimage")


def test_what_plans_the_work_imports_nothing_heavy() -> None:
    code = (
        "import sys, patchvae.cli, patchvae.study.tables, patchvae.study.runs\n"
        "import patchvae.study.sources\n"
        "import patchvae.analysis.cells, patchvae.report.protocol\n"
        "from patchvae.study.tables import load_table\n"
        "[p for c in load_table('paper', 'table1').cells() for p in c.probes()]\n"
        f"print(*(name for name in {HEAVY} if name in sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=REPO, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == ""
