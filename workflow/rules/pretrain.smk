from patchvae.runtime import runs_per_gpu

# With PATCHVAE_RUNS_PER_GPU the Slurm profile puts several trainings into one job (docs/cluster.md). Snakemake
# adds their numbers up, GPUs too; a string it takes over as it is.
PACKED = "pretrain" in workflow.group_settings.overwrite_groups or (
    workflow.remote_exec and runs_per_gpu() > 1
)


def shared_gpu(wildcards):
    """What the trainings of one job ask for together: one GPU."""
    if (gpus := gpus_of(wildcards)) > 1:
        raise WorkflowError(
            f"{wildcards.dataset} trains on {gpus} GPUs a run (gpus_per_run), so its trainings cannot share one:"
            " make its targets in a call of their own, without PATCHVAE_RUNS_PER_GPU"
        )
    return "gpu:1"


GPU = {"gres": shared_gpu} if PACKED else {"gpu": gpus_of, "nodes": 1}


rule pretrain:
    input:
        str(paths.prepared("{dataset}")),
    output:
        [f"{paths.RUN}/pretrain/{name}" for name in paths.PRETRAIN_FILES],
    log:
        "logs/{study}/{dataset}/{model}/{variant}/seed{seed}/pretrain.log",
    benchmark:
        "logs/{study}/{dataset}/{model}/{variant}/seed{seed}/pretrain.tsv"
    conda:
        "../../environment.yml"
    threads: gpus_of
    resources:
        **GPU,
        mem_mb=lambda w, attempt: 8000 * attempt * gpus_of(w),
        runtime=lambda w, attempt: 480 * attempt,
    params:
        config=lambda w: run_of(w).digest,
        source=clear(lambda w: sources.pretrain_source(w.model)),
        folder=subpath(output[0], parent=True),
    shell:
        "exec python -m patchvae pretrain {params.folder:q} --expect {params.config} --threads {threads} 2>> {log:q}"
