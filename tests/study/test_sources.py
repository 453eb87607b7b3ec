"""Stage digests: blind to comments and layout, awake to code, and only of the stages concerned."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from patchvae.errors import ConfigError
from patchvae.study import sources
from patchvae.study.registry import MODELS

STAGES = (*MODELS, "probe", "knn", "prepare parts32", "report cells")


def forget() -> None:
    sources._parse.cache_clear()
    sources.source_digest.cache_clear()


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A copy of the package to edit; the digests are of this copy."""
    folder = tmp_path / "patchvae"
    shutil.copytree(sources.PACKAGE, folder, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(sources, "PACKAGE", folder)
    forget()
    yield folder
    forget()


def digests() -> dict[str, str]:
    forget()
    return {
        **{model: sources.pretrain_source(model) for model in MODELS},
        "probe": sources.probe_source("conv5"),
        "knn": sources.probe_source("knn"),
        "prepare parts32": sources.prepare_source("parts32"),
        "report cells": sources.source_digest("patchvae.analysis.cells"),
    }


def changed_by(package: Path, module: str, old: str, new: str) -> set[str]:
    """The stages whose digest an edit changes."""
    before, path = digests(), package / module
    text = path.read_text()
    assert old in text, f"{module} has no {old!r}"
    path.write_text(text.replace(old, new, 1))
    after = digests()
    return {stage for stage in STAGES if before[stage] != after[stage]}


TRAINING = set(MODELS)
SAMPLING = TRAINING - {"random", "imagenet-pretrained", "external"}
PROBING = {"probe", "knn"}
BETA = {name for name, model in MODELS.items() if model.architecture == "beta-vae"}
PARTS = {name for name, model in MODELS.items() if model.architecture == "patchvae"}
GAN = {name for name, model in MODELS.items() if model.adversarial}


@pytest.mark.parametrize(
    ("module", "old", "new"),
    [
        ("models/losses.py", "import math\n", "# a comment\n\n\nimport math  # another\n"),
        ("models/losses.py", '"""|x - x_hat|^2 of Eq. 2', '"""The squared error, Eq. 2'),
        ("models/losses.py", "reduction=\"sum\") / len(x)", "reduction='sum')/len( x )"),
        ("models/patchvae.py", '"""PatchVAE (paper', '"""Another module docstring (paper'),
        ("models/patchvae.py", '"""|x - x_hat|^2 + beta_vis', '"""Class docstring: beta_vis'),
        ("models/classifier.py", "        super().__init__()\n", "\n        super().__init__()\n"),
    ],
)  # fmt: skip
def test_comments_docstrings_and_layout_change_nothing(
    package: Path, module: str, old: str, new: str
) -> None:
    assert changed_by(package, module, old, new) == set()


@pytest.mark.parametrize(
    ("module", "old", "new", "stages"),
    [
        ("models/losses.py", "PATCH = 8", "PATCH = 4", TRAINING),
        ("models/trunk.py", "fan_out", "fan_in", TRAINING | PROBING),
        ("models/head.py", "hidden: int = 512", "hidden: int = 513", PROBING),
        ("training/features.py", "EVAL_BATCH = 512", "EVAL_BATCH = 256", PROBING),
        ("training/standardise.py", "deviation > 0", "deviation > 1", {"probe"}),
        ("training/neighbours.py", "alpha=-2", "alpha=-1", {"knn"}),
        ("training/phases.py", '"noise"', '"noises"', TRAINING),
        ("numerics/optim.py", "eps=1e-8", "eps=1e-7", TRAINING | PROBING),
        ("models/schedules.py", "return max(floor", "return min(floor", TRAINING | {"probe"}),
        ("models/sampling.py", "0.5 * log_var", "0.6 * log_var", SAMPLING),
        ("models/bigan.py", "encoder + generator", "encoder - generator", {"bigan"}),
        ("models/beta_vae.py", "outputs=2", "outputs=3", BETA),
        ("models/patchvae.py", "3, 1, 1)", "5, 1, 2)", PARTS),
        ("models/adversarial.py", "self.weight *", "2 * self.weight *", GAN),
        ("models/discriminator.py", "0.2", "0.3", GAN | {"bigan"}),
        ("models/fixed.py", "f37072fd.pth", "f37072fe.pth",
         {"random", "imagenet-pretrained", "external"}),
        ("data/tensors.py", "cls(m / s, 255 * s)", "cls(m / s, 256 * s)", TRAINING | PROBING),
        ("numerics/seeds.py", '"little"', '"big"', TRAINING | PROBING | {"report cells"}),
        ("training/loop.py", "/ self.n_steps", "/ (self.n_steps + 1)", TRAINING | PROBING),
        ("data/parts.py", "SEED = 2_020", "SEED = 2_021", {"prepare parts32"}),
        ("analysis/stats.py", "import", "import sys\nimport", {"report cells"}),
        ("cli.py", "import sys\n", "import os\nimport sys\n", set()),
        ("runtime/progress.py", "LINE_EVERY = 30.0", "LINE_EVERY = 31.0", set()),
        ("runtime/lock.py", "STALE = 90.0", "STALE = 91.0", set()),
    ],
)  # fmt: skip
def test_an_edit_changes_exactly_the_stages_concerned(
    package: Path, module: str, old: str, new: str, stages: set[str]
) -> None:
    assert changed_by(package, module, old, new) == stages


def test_plumbing_exists_and_draws_no_numbers(package: Path) -> None:
    for folder in sources.PLUMBING:
        modules = list((package / folder).glob("*.py"))
        assert len(modules) > 3, folder
        for path in modules:
            for word in ("SeedSequence", "manual_seed", "torch.rand", "default_rng"):
                assert word not in path.read_text(), f"{path} has {word}: it decides numbers"


def test_unknown_stages_are_refused() -> None:
    with pytest.raises(ConfigError, match="unknown model 'vae'"):
        sources.pretrain_source("vae")
    with pytest.raises(ConfigError, match="unknown dataset 'mnist'"):
        sources.prepare_source("mnist")
