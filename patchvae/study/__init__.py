"""What is to be computed: datasets, models, studies, runs, tables, and where each artefact lies."""
