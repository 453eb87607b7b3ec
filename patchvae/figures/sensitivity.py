"""What other readings of the paper change: each alternative's change of the claims' differences."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from patchvae.analysis.paired import Estimate
from patchvae.analysis.printed import points
from patchvae.analysis.sensitivity import Effect, sensitivity
from patchvae.analysis.stats import DIFFERS
from patchvae.figures.canvas import axes_grid, new_figure
from patchvae.figures.catalogue import Target
from patchvae.report.sensitivity import cell_name, difference_name
from patchvae.runtime.machine import Options

PANELS = 3  # side by side, on the text's width


@dataclass(frozen=True)
class Change:
    """Points, with their 95 % interval; `told` from noise."""

    alternative: str
    change: float
    low: float
    high: float
    told: bool


@dataclass(frozen=True)
class Panel:
    """One quantity: what it is called, its value as the study has it, and its changes."""

    title: str
    before: float | None
    changes: list[Change]

    @property
    def reach(self) -> float:
        return max(abs(change.change) for change in self.changes)


@dataclass(frozen=True)
class Changes:
    """Alternatives from the top, what moves most first."""

    subject: str
    alternatives: list[str]
    panels: list[Panel]


def compute(target: Target, options: Options) -> Changes:
    """The differences that move most; rows where no claim is about a difference of them."""
    found = sensitivity(target.study)
    panels = _differences(found.effects) or _rows(found.effects)
    shown = sorted(panels, key=lambda panel: -panel.reach)[:PANELS]
    said = f"Bars: 95 % intervals; seeds {' '.join(map(str, found.study.seeds))}"
    if len(panels) > len(shown):
        said += f"; the {len(shown)} of {len(panels)} that move most"
    return Changes(said, [effect.alternative.name for effect in found.effects], shown)


def _differences(effects: Iterable[Effect]) -> list[Panel]:
    found: dict[str, Panel] = {}
    for effect in effects:
        for moved in effect.differences:
            name, before = difference_name(moved.before), moved.before.estimate
            value = before.difference if before is not None else None
            panel = found.setdefault(name, Panel(name, value, []))
            panel.changes.append(_change(effect, moved.change, moved.word))
    return list(found.values())


def _rows(effects: Iterable[Effect]) -> list[Panel]:
    found: dict[str, Panel] = {}
    for effect in effects:
        for pair in effect.rows:
            if pair.estimate is not None:
                name = cell_name(effect, pair.key)
                panel = found.setdefault(name, Panel(name, None, []))
                panel.changes.append(_change(effect, pair.estimate, pair.word))
    return list(found.values())


def _change(effect: Effect, estimate: Estimate, word: str) -> Change:
    low, high = estimate.interval()
    return Change(effect.alternative.name, estimate.difference, low, high, word == DIFFERS)


def draw(data: Changes) -> Figure:
    """A line an alternative, a panel a difference; change zero and a vanishing difference."""
    figure = new_figure(0.14 * len(data.alternatives) + 0.95)
    axes = axes_grid(figure, 1, len(data.panels), sharey=True)[0]
    for axis, panel in zip(axes, data.panels, strict=True):
        _panel(axis, panel, data.alternatives)
    axes[0].set_yticks(range(len(data.alternatives)), data.alternatives, fontsize=6)
    axes[0].set_ylim(len(data.alternatives) - 0.5, -0.5)
    return figure


def _panel(axis: Axes, panel: Panel, alternatives: Sequence[str]) -> None:
    for change in panel.changes:
        bars = [[change.change - change.low], [change.high - change.change]]
        axis.errorbar(
            change.change, alternatives.index(change.alternative), xerr=bars, color="C0",
            marker="o", ms=3.5, mfc="C0" if change.told else "white", capsize=1.5, elinewidth=0.8,
        )  # fmt: skip
    axis.axvline(0, color="0.3", lw=0.8, zorder=0)
    if panel.before is not None:
        axis.axvline(-panel.before, color="C1", lw=0.8, ls="--", zorder=0)
    axis.set_title(panel.title.replace(", ", "\n"), fontsize=7)
    value = "" if panel.before is None else f"\n(as it is {points(panel.before)})"
    axis.set_xlabel(f"change, points{value}", fontsize=7)
    axis.grid(axis="y", lw=0.3)
