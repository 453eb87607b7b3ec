"""The report page: the cells' numbers, nothing missing hidden, whole in a real browser."""

import base64
import io
import json
import re
import shutil
import struct
import subprocess
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from made_results import write_numbers
from PIL import Image, ImageStat
from small_study import edit_study

from patchvae.analysis.compare import compare_study
from patchvae.errors import CheckpointError
from patchvae.figures.catalogue import illustrations
from patchvae.paper.published import accuracy
from patchvae.report import compare_views
from patchvae.report.page import html, write_page
from patchvae.report.picture import read_picture, sealed
from patchvae.report.tables import write_table
from patchvae.runtime.results import write_bytes
from patchvae.study.address import CellKey
from patchvae.study.table_specs import ARCHITECTURE_TABLES
from patchvae.study.tables import load_table

FIGURE = Path("figures/tiny/figure1.png")


def tiny_png() -> bytes:
    """One grey pixel."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    header = struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0)
    pixels = chunk(b"IDAT", zlib.compress(b"\x00\x80"))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + pixels + chunk(b"IEND", b"")


@pytest.fixture
def tiny_page(project: Path) -> Path:
    """The page of the study `tiny`: one cell of Table 1 missing, Figure 1 drawn, the others not."""
    for cell in [*load_table("tiny", "table1").cells(), *load_table("tiny", "table5").cells()]:
        if cell.key != "table1/bigan/parts32-conv3":
            write_numbers(cell, [10.11, 10.33])
    write_bytes(FIGURE, sealed(tiny_png()))
    return write_page("tiny", illustrations("tiny"))


@pytest.fixture
def paper_page(project: Path) -> Path:
    """The page of the paper's study: two cells run, one far from the published number."""
    cells = {cell.key: cell for cell in load_table("paper", "table4").cells()}
    close, far = (cells[f"table4/prior_vis={x}/cifar100-conv5"] for x in (0.01, 0.05))
    published = accuracy()[CellKey("table4", "prior_vis=0.01", "cifar100-conv5")]
    write_numbers(close, [published - 0.1, published, published + 0.1, published, published])
    write_numbers(far, [90.0, 90.1, 90.2, 90.1, 90.0])
    return write_page("paper", illustrations("paper"))


def test_the_differences_that_a_study_asks_for_stand_below_their_table(tiny_page: Path) -> None:
    assert "<h3>Differences</h3>" not in tiny_page.read_text()
    asked = "differences: [[beta_vis=0.06, beta_vis=0.6]], margin: 0.5"
    edit_study("table5: {datasets: [parts32]}", f"table5: {{datasets: [parts32], {asked}}}")
    text = write_page("tiny", illustrations("tiny")).read_text()
    below = text.split("<h3>Differences</h3>")[1]
    assert '<th scope="row">0.06 − 0.6</th><td>+0.00 (0.00 to 0.00)≈</td>' in below
    assert "less than 0.5 points either way" in below


def details_of(text: str) -> dict[str, Any]:
    (found,) = re.findall(
        r'<script type="application/json" id="details">(.*?)</script>', text, re.S
    )
    return json.loads(found)


def test_every_cell_has_its_number_details_and_command(tiny_page: Path) -> None:
    text = tiny_page.read_text()
    details = details_of(text)
    buttons = re.findall(r'data-cell="([^"]+)"', text)
    cells = [c for name in ("table1", "table5") for c in load_table("tiny", name).cells()]
    assert sorted(buttons) == sorted(details) == sorted(cell.key for cell in cells)
    facts = details["table5/beta_vis=0.3/parts32-conv5"]["facts"]
    assert facts["Mean"] == "10.22 % over 2 of 2 seeds"
    assert facts["By seed"] == "0: 10.11, 1: 10.33"
    assert "Paper" not in facts
    assert details["table1/bigan/parts32-conv3"]["facts"]["Result"] == "not run"
    command = details["table1/bigan/parts32-conv3"]["commands"]["make what is missing"]
    assert command == "snakemake results/tiny/cells/table1/bigan/parts32-conv3.json"
    assert text.count("10.22<span") == len(cells) - 1


def test_what_is_missing_is_said(tiny_page: Path) -> None:
    text = tiny_page.read_text()
    assert f"{10 * 3 + 3 - 1 - 3} of {10 * 3 + 3 - 3} cells have numbers" in text
    assert "Not drawn yet: <code>snakemake figures/tiny/figure2.pdf</code>" in text
    assert "Not drawn yet: <code>snakemake figures/tiny/figure1.pdf</code>" not in text
    assert "cannot be compared with the paper's" in re.sub(r"&#39;", "'", text)


def test_verdicts_are_the_papers_studys_only(paper_page: Path, tiny_page: Path) -> None:
    text = paper_page.read_text()
    details = details_of(text)
    close, far = (details[f"table4/prior_vis={x}/cifar100-conv5"]["facts"] for x in (0.01, 0.05))
    assert close["Result"] == "reproduced"
    assert far["Result"] == "differs"
    assert float(far["Difference"].split()[0]) > 50
    assert "1 of 128 published accuracies are reproduced or consistent" in text
    for facts in details_of(tiny_page.read_text()).values():
        assert not {"Paper", "Difference", "Margin"} & set(facts["facts"])


def test_the_headline_speaks_of_claims_with_two_seeds_only(tiny_page: Path) -> None:
    text = " ".join(tiny_page.read_text().split())
    assert "statements of the paper that can be tested here" in text
    for cell in [*load_table("tiny", "table1").cells(), *load_table("tiny", "table5").cells()]:
        write_numbers(cell, [10.11])
    alone = write_page("tiny", []).read_text()
    assert "cells have numbers." in alone
    assert "statements of the paper" not in alone


def test_the_same_results_give_the_same_bytes(tiny_page: Path) -> None:
    before = tiny_page.read_bytes()
    assert write_page("tiny", illustrations("tiny")).read_bytes() == before


def test_an_altered_cell_is_refused(tiny_page: Path) -> None:
    cell = load_table("tiny", "table5").cells()[0].path
    cell.write_text(cell.read_text().replace("10.11", "99.11"))
    with pytest.raises(CheckpointError, match="altered"):
        write_page("tiny", illustrations("tiny"))


def test_every_damage_to_a_figure_is_refused(tiny_page: Path) -> None:
    """Each byte flipped, each length, no link that leads nowhere: never shown."""
    whole, page = FIGURE.read_bytes(), tiny_page.read_bytes()
    flips = [bytes([*whole[:k], whole[k] ^ 1, *whole[k + 1 :]]) for k in range(len(whole))]
    for content in (*flips, *(whole[:k] for k in range(len(whole))), whole + b"x", tiny_png()):
        FIGURE.write_bytes(content)
        with pytest.raises(CheckpointError, match=r"figure1\.png is truncated, altered"):
            read_picture(FIGURE)
    with pytest.raises(CheckpointError, match=r"figure1\.png is truncated, altered"):
        write_page("tiny", illustrations("tiny"))
    FIGURE.unlink()
    FIGURE.symlink_to("missing")
    with pytest.raises(CheckpointError, match=r"figure1\.png is missing"):
        write_page("tiny", illustrations("tiny"))
    assert tiny_page.read_bytes() == page


def test_counts_are_the_modules_whatever_a_tables_csv_says(tiny_page: Path) -> None:
    table = Path("tables/tiny/table6.csv")
    table.parent.mkdir(parents=True, exist_ok=True)
    table.write_text("key,paper,ours,equal\nx,1,2,False\n")
    assert write_page("tiny", illustrations("tiny")).read_text() == tiny_page.read_text()
    assert "15 of 15 published counts are equalled exactly" in tiny_page.read_text()


def test_the_page_inside_snakemakes_report_has_all_but_the_figures(tiny_page: Path) -> None:
    text, whole = (
        tiny_page.with_name(n).read_text() for n in ("report-numbers.html", "report.html")
    )
    assert details_of(text) == details_of(whole)
    sections = re.findall(r'<section id="(\w+)">', whole)
    assert re.findall(r'<section id="(\w+)">', text) == [s for s in sections if s != "figures"]
    assert "#figures" not in text
    assert "data:image" not in text


def test_the_page_of_all_published_numbers_fits_into_snakemakes_report(paper_page: Path) -> None:
    page = paper_page.with_name("report-numbers.html").read_bytes()
    assert 4 / 3 * len(page) < 2**20  # as base64; Chromium's limit is twice that


def test_the_page_needs_no_network(tiny_page: Path) -> None:
    text = tiny_page.read_text()
    addresses = re.findall(r'(?:src|href|action)="([^"]*)"', text)
    assert {a for a in addresses if not a.startswith(("#", "data:"))} == set()
    assert "http" not in re.sub(r'"data:[^"]*"', "", text)


@pytest.mark.parametrize(
    ("latex", "expected"),
    [
        (r"$\beta$-VAE + $L_w$", "<i>β</i>-VAE + <i>L<sub>w</sub></i>"),
        (
            r"$z_{\mathrm{vis}}^{\mathrm{prior}}$ (top-1, \%)",
            "<i>z<sub>vis</sub><sup>prior</sup></i> (top-1, %)",
        ),
        ("a < b & c", "a &lt; b &amp; c"),
        ("**6.5** ± 1 <sup>A4</sup>", "<b>6.5</b> ± 1 <sup>A4</sup>"),
        ("<u onclick=x>5</u><b>", "&lt;u onclick=x&gt;5</u>&lt;b&gt;"),
    ],
)
def test_labels_become_html(latex: str, expected: str) -> None:
    assert str(html(latex)) == expected


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Debian's Chromium without a window, driven by selenium."""
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium")
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    service = webdriver.ChromeService(shutil.which("chromedriver"))
    window = webdriver.Chrome(options=options, service=service)
    yield window
    window.quit()


def visit(browser: Any, page: Path, width: int) -> None:
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 600},
    )
    browser.get(page.resolve().as_uri())


@pytest.mark.parametrize("width", [360, 1280])
def test_the_page_is_whole_in_a_browser(browser: Any, tiny_page: Path, width: int) -> None:
    visit(browser, tiny_page, width)
    assert [line for line in browser.get_log("browser") if line["level"] == "SEVERE"] == []
    dangling = browser.execute_script(
        "return [...document.querySelectorAll('a')].map(a => a.getAttribute('href'))"
        ".filter(h => !document.getElementById(h.slice(1)))"
    )
    assert dangling == []
    images = browser.execute_script(
        "return [...document.images].map(i => [i.naturalWidth, i.alt.length > 20])"
    )
    assert images == [[1, True]]
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    repeated = browser.execute_script(
        "const ids = [...document.querySelectorAll('[id]')].map(e => e.id);"
        "return ids.filter((id, i) => ids.indexOf(id) !== i)"
    )
    assert repeated == []


@pytest.fixture
def pages(paper_page: Path) -> dict[str, Path]:
    """Every kind of page of the paper's study: the report, the comparison, a table's."""
    write_table("paper", "table3", partial=True)
    comparison = paper_page.with_name("comparison.html")
    comparison.write_text(compare_views.as_html(compare_study("paper")))
    found = (paper_page, comparison, Path("tables/table3.html"))
    return {path.stem: path for path in found}


@pytest.mark.parametrize("name", ["report", "comparison", "table3"])
def test_on_a_phone_no_page_is_cut_and_a_shadow_tells_what_scrolls(
    browser: Any, pages: dict[str, Path], name: str
) -> None:
    visit(browser, pages[name], 375)
    assert browser.execute_script("return document.documentElement.scrollWidth") == 375
    wide = [
        region
        for region in browser.find_elements("css selector", ".wide")
        if browser.execute_script("return arguments[0].scrollWidth", region) > region.rect["width"]
    ]
    assert wide or name == "table3"
    for region in wide[:3]:
        edges = []
        for place in (0, 10_000):
            browser.execute_script("arguments[0].scrollLeft = arguments[1]", region, place)
            picture = Image.open(io.BytesIO(region.screenshot_as_png)).convert("L")
            right, bottom = picture.width - 2, min(picture.height, 400)
            strip = picture.crop((right - 6, 0, right, bottom))
            edges.append(ImageStat.Stat(strip).mean[0])
        assert edges[0] < edges[1] - 15  # darker while there is more to the right


def test_a_desktop_is_filled(browser: Any, pages: dict[str, Path]) -> None:
    visit(browser, pages["report"], 1440)
    sides = (
        "return [...document.querySelectorAll(arguments[0])]"
        ".map(e => e.getBoundingClientRect()).map(r => [r.left, r.right, r.top])"
    )
    figures = browser.execute_script(sides, "figure")
    assert max(right for _, right, _ in figures) - min(left for left, _, _ in figures) > 0.9 * 1440
    left, right = browser.execute_script(sides, "#table3 table")
    assert left[1] < right[0]
    assert left[2] == right[2]


def test_the_page_says_what_follows_a_mean(paper_page: Path, tiny_page: Path) -> None:
    words = "± the half-width of the 95% interval (over seeds and test images)."
    assert words in paper_page.read_text()
    assert words in tiny_page.read_text()


@pytest.mark.needs("pdftotext")
def test_no_table_is_split_in_print(browser: Any, paper_page: Path, tmp_path: Path) -> None:
    for name in ARCHITECTURE_TABLES:
        write_table("paper", name)
    visit(browser, write_page("paper", illustrations("paper")), 1280)
    printed = browser.execute_cdp_cmd("Page.printToPDF", {"preferCSSPageSize": True})
    (tmp_path / "page.pdf").write_bytes(base64.b64decode(printed["data"]))
    command = ["pdftotext", "-layout", tmp_path / "page.pdf", "-"]
    sheets = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split("\f")
    lines = [[" ".join(line.split()) for line in sheet.splitlines()] for sheet in sheets]
    for heading, first, last in (
        ("Table 1", "β-VAE", "ImageNet pretrained"),
        ("Table 2", "β-VAE", "ImageNet supervised"),
        ("Table 3", "4 ", "64 "),
        ("Table 4", "0.01 ", "0.1 "),
        ("Table 5", "0.06 ", "0.6 "),
        ("Parameter counts (Tables 6-10)", "table6/encoder-beta-vae", "table10/"),
    ):
        (sheet,) = [sheet for sheet in lines if heading in sheet]
        below = sheet[sheet.index(heading) :]
        for words in (first, last):
            assert any(f"{line} ".startswith(words) for line in below), (heading, words)
    assert sum(not any(sheet) for sheet in lines) == 1  # pdftotext's end, no empty sheet


def test_a_click_shows_a_cells_details(browser: Any, paper_page: Path) -> None:
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys

    visit(browser, paper_page, 1280)
    dialog = browser.find_element(By.ID, "detail")
    assert not dialog.is_displayed()
    key = "table4/prior_vis=0.05/cifar100-conv5"
    button = browser.find_element(By.CSS_SELECTOR, f'[data-cell="{key}"]')
    button.click()
    assert dialog.is_displayed()
    assert browser.switch_to.active_element.text == key
    assert browser.execute_script("return arguments[0].scrollTop", dialog) == 0
    for words in (key, "90.08 % over 5 of 5 seeds", "differs", f"results/paper/cells/{key}.json"):
        assert words in dialog.text
    dialog.send_keys(Keys.ESCAPE)
    assert not dialog.is_displayed()
    button.send_keys(Keys.ENTER)  # by keyboard alone
    assert dialog.is_displayed()
    dialog.find_element(By.CSS_SELECTOR, "form button").click()
    assert not dialog.is_displayed()
    assert [line for line in browser.get_log("browser") if line["level"] == "SEVERE"] == []


def test_the_page_shows_inside_another_as_snakemake_embeds_it(
    browser: Any, paper_page: Path, tmp_path: Path
) -> None:
    from selenium.webdriver.common.by import By

    page = paper_page.with_name("report-numbers.html").read_bytes()
    frame = tmp_path / "frame.html"
    source = f"data:text/html;base64,{base64.b64encode(page).decode()}"
    frame.write_text(f'<!DOCTYPE html><link rel="icon" href="data:,"><iframe src="{source}">')
    visit(browser, frame, 1280)
    browser.switch_to.frame(browser.find_element(By.TAG_NAME, "iframe"))
    assert "PatchVAE, study paper" in browser.find_element(By.TAG_NAME, "h1").text
    assert [line for line in browser.get_log("browser") if line["level"] == "SEVERE"] == []
