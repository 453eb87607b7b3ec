# Every target sets up .venv by itself. `make demo` first, `make test` second.
PYTHON ?= python3
STUDY ?= demo
# which tests, for instance TESTS='-m needs'
TESTS ?=
BIN := .venv/bin
SNAKEFILES := Snakefile workflow patchvae/study/starter
INSTALLED := .venv/installed
# one thread a process: parallel jobs of one thread each beat one job with all cores
export OMP_NUM_THREADS := 1

.PHONY: venv demo fashion fashion-quick pdf docs notebooks test soak bench lint format rule-graph \
  clean help

help: ## show the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 16

$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "Python 3.11 or newer is needed: make PYTHON=python3.11" >&2; exit 2; }
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[slurm,share,tensorboard,dev,docs]'
	@touch $@

venv: $(INSTALLED) ## set up .venv, nothing else

demo: $(INSTALLED) ## every table in miniature on embedded images, five minutes on two cores
	$(BIN)/snakemake demo

fashion-quick: $(INSTALLED) ## the same on real Fashion-MNIST images, a quarter of an hour on two cores
	$(BIN)/snakemake fashion_quick

fashion: $(INSTALLED) ## the Fashion-MNIST study
	$(BIN)/snakemake fashion

pdf: $(INSTALLED) ## one document of all tables of STUDY (demo unless given); needs pdflatex
	$(BIN)/snakemake pdf --config study=$(STUDY)

docs: $(INSTALLED) ## the site over docs/ in build/site; each warning is an error
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

notebooks: $(INSTALLED) ## run the notebooks of docs/ again and keep what they show
	$(BIN)/jupyter nbconvert --to notebook --execute --inplace \
	  --ClearMetadataPreprocessor.enabled=True --ExecutePreprocessor.record_timing=False \
	  docs/notebooks/*.ipynb

test: $(INSTALLED) ## everything green in ten minutes on two cores
	$(BIN)/pytest --numprocesses auto --dist loadfile $(TESTS)

soak: $(INSTALLED) ## 50 random kills over a small DAG, ending with the bytes of an undisturbed run
	$(BIN)/python tests/soak/soak.py

bench: $(INSTALLED) ## speed against a plain baseline on two idle cores, in a quarter of an hour
	$(BIN)/python benchmarks/pretraining.py
	$(BIN)/python benchmarks/column.py
	$(BIN)/python benchmarks/streaming.py
	$(BIN)/python benchmarks/startup.py

lint: $(INSTALLED) ## style, formats, types, workflow
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/snakefmt --check $(SNAKEFILES)
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/snakemake --lint
	$(BIN)/hadolint Dockerfile

format: $(INSTALLED) ## rewrite Python and Snakemake files in the project's format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/snakefmt $(SNAKEFILES)

rule-graph: $(INSTALLED) ## draw the picture of workflow/documentation.md anew
	$(BIN)/python scripts/rule_graph.py

clean: ## remove results, tables and figures, not the prepared data
	rm -rf results logs .snakemake
	find tables figures -mindepth 1 ! -name README.md -delete
