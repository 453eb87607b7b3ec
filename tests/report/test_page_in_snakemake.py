"""Snakemake's own report holds every table, figure and page of the demo, explained.

The files are stubs: what the report says of them comes from the rules alone.
"""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from checkout import Checkout, copy_project
from small_study import REPO, forget_configs

from patchvae.figures.catalogue import illustrations
from patchvae.study.tables import table_names


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The demo's entries by path: category, subcategory, labels, caption and type."""
    folder = tmp_path_factory.mktemp("shown")
    copy_project(folder)
    files = [*expected_tables(), *expected_figures(), *PAGES]
    for name in files:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"stub")
    done = Checkout(folder, folder / "data").snakemake("--report", "report.html", "demo")
    assert done.returncode == 0, done.stderr
    page = (folder / "report.html").read_text()
    results = constant(page, "results")
    for category, shelves in constant(page, "categories").items():
        for shelf, names in shelves.items():
            for name in names:
                results[name] |= {"category": category, "subcategory": shelf}
    return results


def constant(page: str, name: str) -> Any:
    """What the page's scripts get under a name."""
    _, found = page.split(f'<script id="{name}">\n    var {name} = ')
    return json.JSONDecoder().raw_decode(found)[0]


PAGES = ("results/demo/report-numbers.html", "results/demo/comparison.html")


def expected_tables() -> list[str]:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(REPO)
        forget_configs()
        names = [*table_names("demo"), "discovery", "posterior"]
    return [f"tables/demo/{name}.html" for name in names]


def expected_figures() -> dict[str, str]:
    """The PNG of every figure and its title."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(REPO)
        forget_configs()
        found = {str(each.png): each.title for each in illustrations("demo")}
    forget_configs()
    return found


def test_everything_is_in_the_report_and_nothing_else(shown: dict[str, Any]) -> None:
    assert len(expected_tables()) == 12
    assert len(expected_figures()) == 12
    assert sorted(shown) == sorted([*expected_tables(), *expected_figures(), *PAGES])


def test_everything_is_on_its_shelf(shown: dict[str, Any]) -> None:
    shelves = {"tables": "Tables", "figures": "Figures", "results": "Report"}
    for name, entry in shown.items():
        assert entry["category"] == shelves[name.split("/")[0]], name
        assert entry["subcategory"] == "demo", name


def test_the_browser_can_show_everything(shown: dict[str, Any]) -> None:
    for name, entry in shown.items():  # other types can only be downloaded
        assert entry["mime_type"] == {"html": "text/html", "png": "image/png"}[name[-4:].strip(".")]


def test_labels_say_what_a_thing_is(shown: dict[str, Any]) -> None:
    for name, title in expected_figures().items():
        assert shown[name]["labels"] == {"figure": title}
    labels = {name: shown[name]["labels"]["table"] for name in expected_tables()}
    assert labels.pop("tables/demo/discovery.html") == "Part discovery"
    assert labels.pop("tables/demo/posterior.html") == "Latent codes"
    # the report sorts them as text
    assert [label.replace("\u2007", "") for label in sorted(labels.values(), key=collate)] == [
        f"Table {number}" for number in range(1, 11)
    ]
    assert len({shown[name]["labels"]["page"] for name in PAGES}) == 2


def collate(label: str) -> str:
    """Spaces before digits, as the browser's localeCompare has it."""
    return label.replace("\u2007", " ")


def test_captions_are_the_captions_and_fit_their_study(shown: dict[str, Any]) -> None:
    plain = {name: re.sub(r"<[^>]+>", "", entry["caption"]) for name, entry in shown.items()}
    assert all(len(text.split()) > 15 for text in plain.values())
    for name in expected_figures():
        source = REPO / "workflow" / "report" / f"{Path(name).stem}.rst"
        assert plain[name].split()[:8] == source.read_text().split()[:8]
    for number in range(1, 6):
        assert "cannot be compared with the paper" in plain[f"tables/demo/table{number}.html"]
    for number in range(6, 11):
        assert "parameter counts" in plain[f"tables/demo/table{number}.html"]
