"""A pretraining's loss terms beside those of other seeds."""

from rich.console import Console
from rich.text import Text

from patchvae.report.terminal.style import Grid, say
from patchvae.runtime.watch import NO_TERMS, envelope, others_of, outside, seen_of
from patchvae.study.runs import PretrainConfig


def show(config: PretrainConfig, console: Console) -> None:
    """Each epoch's terms with what was expected; red where outside."""
    found = others_of(config)
    others, history = list(found.values()), seen_of(config)
    bounds = envelope(others) if len(others) > 1 else [{}] * len(history)
    names = [name for name in history[0] if name not in NO_TERMS]
    table = Grid("epoch", *names, title=f"{config.run.name}: value, and what is expected")
    for row, expected in zip(history, bounds, strict=False):
        texts = []
        for name in names:
            low, high = expected.get(name, (row[name], row[name]))
            span = f" [{low:.4g} to {high:.4g}]" if name in expected else ""
            style = "" if low <= row[name] <= high else "red"
            texts.append(Text(f"{row[name]:.4g}{span}", style))
        table.add_row(f"{row['epoch']:.0f}", *texts)
    console.print(table)
    said = [f"{item}." for item in outside(history, others)] if len(others) > 1 else []
    where = ", ".join(found) or "nothing"
    few = "; two other seeds are needed" if len(others) < 2 else ""
    say(console, [*said, f"Compared with {len(others)}: {where}{few}."])
