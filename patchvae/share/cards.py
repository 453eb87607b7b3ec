"""A page beside each encoder: what it is, what it was made of, how good it is, how to load it."""

from collections.abc import Sequence

from patchvae.planning.jobs import Job
from patchvae.report.templating import environment
from patchvae.runtime.results import read_result
from patchvae.study import paths
from patchvae.study.registry import DATASETS
from patchvae.study.runs import PretrainConfig

CARD = "README.md"
LICENCE = "MIT"  # of the suite and of what it makes
FILES = {"encoder": paths.ENCODER, "model": paths.MODEL, "resolved": paths.RESOLVED}


def model_card(job: Job, probes: Sequence[Job]) -> str:
    """The card of a pretraining in Markdown, with those of its probes that are done."""
    config = job.config
    assert isinstance(config, PretrainConfig)
    metrics, dataset = read_result(job.target, job.kind), DATASETS[config.data.dataset]
    seen = metrics.get("images")
    return (
        environment()
        .get_template("model_card.md.j2")
        .render(
            run=config.run,
            config=config,
            dataset=dataset,
            images=f"trained on {seen:,} images" if seen else "no weight was trained",
            metrics=metrics,
            made=metrics["provenance"],
            probes=[read_result(probe.target, probe.kind) for probe in probes],
            licence=LICENCE,
            files=FILES,
        )
    )
