"""What the seeds of one study can decide."""

from dataclasses import dataclass
from pathlib import Path

from patchvae.analysis.compare import compare_study
from patchvae.analysis.power import (
    PartPower,
    Spread,
    VerdictPower,
    plan,
    spread_of,
    verdict_power,
)
from patchvae.errors import ConfigError
from patchvae.paper.claims import Part, load_claims
from patchvae.study import paths
from patchvae.study.config import load_study

# whose seeds stand in for a study that has none yet
PUBLISHED = ("fashion", paths.PUBLISHED)


@dataclass(frozen=True)
class Power:
    """Everything that `patchvae power` shows."""

    study: str
    seeds: int
    alpha: float
    spread: Spread
    parts: tuple[PartPower, ...]
    verdicts: VerdictPower


def study_power(study: str, sd: float | None, seeds: int | None, alpha: float) -> Power:
    """What a study's seeds decide; the spread is `sd`, its cells', or the published study's.

    ConfigError for one seed, or where there is no spread to be had.
    """
    K = seeds or len(load_study(study).seeds)
    if K < 2:
        raise ConfigError(
            f"study {study} has one seed, which decides nothing: give --seeds 2 or more"
        )
    parts = load_claims()
    spread = Spread.given(sd, parts) if sd else _spread(study, parts)
    found = tuple(plan(parts, spread, K, alpha))
    return Power(study, K, alpha, spread, found, verdict_power(spread, K))


def _spread(study: str, parts: list[Part]) -> Spread:
    for name, root in ((study, Path()), PUBLISHED):
        rows = [row for row in compare_study(name, root=root).rows if row.values]
        samples = {row.key: row.sample for row in rows}
        n_test = {row.key.dataset: row.n_test for row in rows if row.n_test}
        where = (
            f"the published cells of study {name}" if root != Path() else "the study's own cells"
        )
        if spread := spread_of(parts, samples, n_test, where):
            return spread
    raise ConfigError(f"study {study} has no cell with two seeds yet: give --sd")
