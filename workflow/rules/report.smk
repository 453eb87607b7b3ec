"""The page that people look at, and what `snakemake --report` says of the whole."""

from patchvae.report import page


report: "../report/workflow.rst"


@clear
def page_inputs(wildcards):
    """Every number and picture of a study."""
    study = wildcards.study
    tables = load_study(study).tables
    cells = [cell.path for table in tables for cell in load_table(study, table).cells()]
    counts = [paths.table(study, name, "csv") for name in page.COUNTED]
    figures = [Target(study, FIGURES[name]).path("png") for name in figure_names(study)]
    return [str(path) for path in (*cells, *counts, *figures)]


def products_of(study):
    """Every table and figure of a study, and the page that shows them."""
    return [
        *tables_of(study),
        *figures_of(study),
        f"{paths.RESULTS}/{study}/report.html",
    ]


rule report_page:
    input:
        page_inputs,
    output:
        report(
            f"{paths.RESULTS}/{{study}}/report.html",
            caption="../report/page.rst",
            category="Report",
            subcategory="{study}",
            labels={"page": "everything"},
        ),
    log:
        "logs/{study}/report.log",
    localrule: True
    conda:
        "../../environment.yml"
    params:
        source=sources.report_source("page"),
        texts=[sha256_file(path) for path in page.texts()],
    shell:
        "python -m patchvae report {wildcards.study:q} > {log:q} 2>&1"
