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


rule sensitivity:
    input:
        lambda w: cells_of(w.study, SENSITIVITY),
        lambda w: str(paths.output("figures", w.study, f"{SENSITIVITY}.png")),
    output:
        multiext("results/{study}/sensitivity", ".csv", ".md"),
        report(
            "results/{study}/sensitivity.html",
            caption="../report/sensitivity.rst",
            category="Report",
            subcategory="{study}",
            labels={"page": "what other readings of the paper change"},
        ),
    log:
        "logs/{study}/sensitivity.log",
    localrule: True
    conda:
        "../envs/patchvae.yml"
    params:
        source=sources.report_source("sensitivity"),
        paper=sources.paper_source(),
    shell:
        "python -m patchvae sensitivity {wildcards.study:q} > {log:q} 2>&1"
