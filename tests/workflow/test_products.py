"""What the workflow asks of a study, and that one rule serves the paper's paths and all others."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest
from small_study import tiny_run

from patchvae.errors import ConfigError
from patchvae.figures.products import (
    document_of,
    figure_inputs,
    figure_sources,
    page_inputs,
    products_of,
)
from patchvae.planning.work import gpus
from patchvae.study.runs import resolve_probe, resolve_run

RUN = "runs/{}/patchvae/N16-d6-prior0.0625-bvis0.6-bapp1/seed0/figure2"


@pytest.mark.parametrize(
    ("rule", "target", "dataset"),
    [
        ("table", "tables{}/table4.tex", ""),
        ("architecture_tables", "tables{}/table7.html", ""),
        ("document", "tables{}/tables.pdf", ""),
        ("figures_figure1", "figures{}/figure3.pdf", ""),
        ("run_figure", f"figures{{}}/{RUN}.png", "indoor67 parts32"),
        ("dataset_figure", "figures{}/datasets/{}/figure3.pdf", "indoor67 parts32"),
    ],
)
def test_one_rule_makes_the_papers_form_and_a_studys(fresh, rule, target, dataset):
    theirs, ours = dataset.split() or ("", "")
    for below, name in (("", theirs), ("/demo", ours)):
        assert fresh.planned(target.format(below, name))[rule] == 1


def test_the_products_of_a_study_by_hand(in_repo):
    found = products_of("fashion-quick")
    assert len(found) == len(set(found))
    assert {path.split("/")[1] for path in found} == {"fashion-quick"}
    assert "results/fashion-quick/comparison.html" in found
    assert {"tables/table5.tex", "tables/table10.tex", "figures/ablations.pdf"} <= set(
        products_of("paper")
    )
    assert document_of("paper") == "tables/tables.pdf"
    with pytest.raises(ConfigError, match="unknown study 'papre'"):
        document_of("papre")


def test_a_page_needs_every_cell_and_picture(in_repo):
    found = page_inputs("paper")
    assert sum(path.startswith("results/paper/cells/") for path in found) == 128
    assert not [path for path in found if path.startswith("tables/")]  # counted, not read
    assert "figures/heatmap.png" in found
    assert "figures/discovery.png" not in found  # no dataset of the paper has known parts


def test_figures_drawn_together_need_each_file_once(in_repo):
    both = figure_inputs("demo", ("figure2", "traversal"))
    assert both == figure_inputs("demo", ("figure2",))
    assert len(both) == 1
    assert figure_sources(["heatmap"]) != figure_sources(["scatter"])


def test_an_untrained_trunk_shares_no_gpus_and_its_probe_does(project):
    path = project / "config" / "tiny.yaml"
    path.write_text(path.read_text().replace("test: 40}", "test: 40, gpus_per_run: 2}"))
    assert gpus(resolve_run(tiny_run("random"))) == 1
    assert gpus(resolve_run(tiny_run("bigan"))) == 2
    assert gpus(resolve_probe(tiny_run("random"), "conv5")) == 2


def test_a_signal_reaches_the_processes_below(tmp_path: Path):
    child = "import time\nprint('up', flush=True)\ntime.sleep(60)"
    script = (
        "import signal, subprocess, sys\n"
        "from patchvae.runtime.forward import forward_sigterm\n"
        "signal.signal(signal.SIGTERM, lambda *_: None)\n"
        "forward_sigterm()\n"
        f"sys.exit(-subprocess.run([sys.executable, '-c', {child!r}]).returncode)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == "up\n"
        parent.send_signal(signal.SIGTERM)
        assert parent.wait(20) == signal.SIGTERM
