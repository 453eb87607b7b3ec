# Regenerates the tables and figures of the PatchVAE paper. Includes and targets only: the rules lie in
# workflow/rules, studies and tables in config/.
from snakemake.utils import min_version

min_version("9.10")


include: "workflow/rules/common.smk"
include: "workflow/rules/data.smk"
include: "workflow/rules/pretrain.smk"
include: "workflow/rules/probe.smk"
include: "workflow/rules/tables.smk"
include: "workflow/rules/common_figures.smk"
include: "workflow/rules/figures.smk"
include: "workflow/rules/report.smk"


rule all:
    default_target: True
    input:
        clear(products_of)("paper"),


rule demo:
    input:
        clear(products_of)("demo"),


rule fashion:
    input:
        clear(products_of)("fashion"),


rule fashion_quick:
    input:
        clear(products_of)("fashion-quick"),


rule pdf:
    input:
        clear(document_of)(config.get("study", paths.MAIN_STUDY)),


if workflow.modifier.is_main_snakefile():
    plain = [rule.name for rule in workflow.rules if not rule.has_wildcards()]
    in_one_line(refuse_unknown)(sys.argv[1:], plain)
