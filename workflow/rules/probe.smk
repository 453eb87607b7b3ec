rule probe:
    input:
        f"{paths.RUN}/pretrain/{paths.METRICS}",
    output:
        [f"{paths.RUN}/{{probe}}/{name}" for name in paths.PROBE_FILES],
    log:
        "logs/{study}/{dataset}/{model}/{variant}/seed{seed}/{probe}.log",
    wildcard_constraints:
        probe=rf"({'|'.join(PROBES)})(\+[A-Za-z0-9_.=+-]+)?",
    conda:
        "../envs/patchvae.yml"
    threads: gpus_of
    resources:
        gpu=gpus_of,
        nodes=1,
        mem_mb=lambda w, attempt: 16000 * attempt * gpus_of(w),
        runtime=lambda w, attempt: 240 * attempt,
    params:
        config=lambda w: config_of(w).digest,
        source=clear(lambda w: sources.probe_source(config_of(w).name)),
        folder=subpath(input[0], ancestor=2),
    shell:
        "exec python -m patchvae probe {params.folder:q} {wildcards.probe:q} --expect {params.config}"
        " --threads {threads} >> {log:q} 2>&1"
