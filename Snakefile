# `snakemake TARGET` from the repository's root; what it makes and how: workflow/Snakefile.
include: "workflow/Snakefile"
