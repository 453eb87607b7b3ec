"""From a name to files: a figure's data, drawn and written as PDF, PNG and tables beside."""

from importlib import import_module
from pathlib import Path

from patchvae.figures.catalogue import Target
from patchvae.runtime.machine import Options
from patchvae.runtime.results import write_text


def write_figure(study: str, name: str, options: Options) -> list[Path]:
    """Write `figures/[<study>/]<name>.{pdf,png}`; `name` may be of a run or dataset.

    A figure that also tabulates what it shows writes those files too. CheckpointError when a result
    is missing, altered or of another configuration.
    """
    from patchvae.figures import canvas

    target = Target.parse(f"{study}/{name}")
    module = import_module(target.figure.module)
    data = module.compute(target, options)
    with canvas.style():
        written = canvas.save(module.draw(data), target, data.subject)
    if hasattr(module, "tabulate"):
        for path, text in module.tabulate(data, target).items():
            write_text(path, text)
            written.append(path)
    return written
