rule cell:
    input:
        lambda w: [str(probe.folder / paths.METRICS) for probe in cell_of(w).probes()],
    output:
        paths.CELL,
    log:
        "logs/{study}/cells/{table}/{row}/{column}.log",
    localrule: True
    conda:
        "../../environment.yml"
    params:
        config=lambda w: [probe.digest for probe in cell_of(w).probes()],
        source=sources.source_digest("patchvae.analysis.cells"),
        paper=sources.paper_source("accuracy.csv", "readings.yaml"),
    shell:
        "python -m patchvae cell {output:q} > {log:q} 2>&1"


rule table:
    input:
        table_cells,
    output:
        table_outputs("{study}", "table"),
    log:
        "logs/{study}/{table}.log",
    localrule: True
    conda:
        "../../environment.yml"
    params:
        source=sources.report_source("tables"),
        target=lambda w: f"{study_of(w)}/{w.table}",
    shell:
        "python -m patchvae table {params.target:q} > {log:q} 2>&1"


use rule table as paper_table with:
    output:
        table_outputs("", "table"),
    log:
        f"logs/{paths.MAIN_STUDY}/{{table}}.log",


use rule table as architecture_table with:
    input:
        [],
    output:
        table_outputs("{study}", "architecture"),
    wildcard_constraints:
        table="|".join(ARCHITECTURE_TABLES),


use rule architecture_table as paper_architecture_table with:
    output:
        table_outputs("", "architecture"),
    log:
        f"logs/{paths.MAIN_STUDY}/{{table}}.log",


rule document:
    input:
        lambda w: tables_of(study_of(w)),
    output:
        "tables/{study}/tables.pdf",
    log:
        "logs/{study}/document.log",
    localrule: True
    conda:
        "../../environment.yml"
    params:
        source=sources.report_source("document"),
        study=study_of,
    shell:
        "python -m patchvae document {params.study:q} > {log:q} 2>&1"


use rule document as paper_document with:
    output:
        "tables/tables.pdf",
    log:
        f"logs/{paths.MAIN_STUDY}/document.log",


rule comparison:
    input:
        study_cells,
    output:
        multiext("results/{study}/comparison", ".csv", ".md"),
        multiext("results/{study}/accuracies", ".csv", ".parquet"),
        report(
            "results/{study}/comparison.html",
            caption="../report/comparison.rst",
            category="Report",
            subcategory="{study}",
            labels={"page": "the paper's numbers and claims against ours"},
        ),
    log:
        "logs/{study}/comparison.log",
    localrule: True
    conda:
        "../../environment.yml"
    params:
        source=sources.report_source("compare_views"),
        paper=sources.paper_source(),
    shell:
        "python -m patchvae compare {wildcards.study} > {log:q} 2>&1"
