"""The page that people look at, and what `snakemake --report` says of the whole."""

from patchvae.report import page
from patchvae.study.digests import file_digest


report: "../report/workflow.rst"


rule report_page:
    input:
        clear(lambda w: page_inputs(w.study)),
    output:
        f"{paths.RESULTS}/{{study}}/report.html",
        report(
            f"{paths.RESULTS}/{{study}}/report-numbers.html",
            caption="../report/page.rst",
            category="Report",
            subcategory="{study}",
            labels={"page": "every number, claim and choice"},
        ),
    log:
        "logs/{study}/report.log",
    localrule: True
    conda:
        "../envs/patchvae.yml"
    params:
        source=sources.report_source("page"),
        texts=[file_digest(path) for path in page.texts()],
    shell:
        "python -m patchvae report {wildcards.study:q} > {log:q} 2>&1"
