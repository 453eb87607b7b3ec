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


# every study is a target by its name, also with _ for -: its tables, figures and page
for study_name in study_names():
    for form in sorted({study_name, study_name.replace("-", "_")}):

        rule:
            name:
                form
            input:
                clear(lambda w, study_name=study_name: products_of(study_name)),


rule pdf:
    input:
        clear(document_of)(config.get("study", paths.MAIN_STUDY)),
