#!/usr/bin/env bash
# Several trainings at a time on each GPU of one Slurm job, in which Snakemake itself runs (docs/cluster.md):
#
#   PATCHVAE_RUNS_PER_GPU=4 sbatch -p gpu --cpus-per-task=4 --mem=64G -t 24:00:00 scripts/slurm-packed.sh tables/table4.tex
#
# More GPUs of one node: sbatch --gpus=2 --cpus-per-task=8 ... scripts/slurm-packed.sh ...
#
# Two minutes before its time is over, or when it is preempted, every training saves its state; a job that
# Slurm queues again goes on there.
#SBATCH --gpus=1
#SBATCH --nodes=1
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --signal=B:TERM@120
set -euo pipefail

# An earlier start of this job that was killed could not give Snakemake's lock back.
if [ "${SLURM_RESTART_COUNT:-0}" -gt 0 ]; then
    python -m snakemake --profile profiles/gpus --unlock "$@"
fi
exec python -m snakemake --profile profiles/gpus "$@"
