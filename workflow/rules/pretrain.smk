rule pretrain:
    input:
        str(paths.prepared("{dataset}")),
    output:
        [f"{paths.RUN}/pretrain/{name}" for name in paths.PRETRAIN_FILES],
    log:
        "logs/{study}/{dataset}/{model}/{variant}/seed{seed}/pretrain.log",
    conda:
        "../envs/patchvae.yml"
    threads: gpus_of
    resources:
        gpu=gpus_of,
        nodes=1,
        mem_mb=lambda w, attempt: 8000 * attempt * gpus_of(w),
        runtime=lambda w, attempt: 480 * attempt,
    params:
        config=lambda w: config_of(w).digest,
        source=clear(lambda w: sources.pretrain_source(w.model)),
        folder=subpath(output[0], parent=True),
    shell:
        "exec python -m patchvae pretrain {params.folder:q} --expect {params.config} --threads {threads} 2>> {log:q}"
