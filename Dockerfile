# The versions that the tests pass with: `docker build --tag patchvae .`, docs/containers.md.
# apptainer.def is the same for clusters; a test holds the two together.
FROM python:3.11-slim-bookworm

# git, of any version: results record the commit of a mounted checkout, whoever owns it
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends git \
    && rm -rf /var/lib/apt/lists/* \
    && git config --system safe.directory '*'

# Editable, so that a checkout mounted here is the package that runs.
WORKDIR /opt/patchvae
COPY constraints.txt pyproject.toml README.md LICENSE ./
COPY patchvae patchvae
RUN pip install --no-cache-dir --constraint constraints.txt --editable '.[slurm]'

# one thread a process, as everywhere: sums depend on their number
ENV OMP_NUM_THREADS=1
