rule prepare:
    output:
        str(paths.prepared("{dataset}")),
    log:
        "logs/prepare/{dataset}.log",
    conda:
        "../envs/patchvae.yml"
    threads: clear(lambda w: 16 if find_dataset(w.dataset).decoded else 1)
    resources:
        mem_mb=4000,
        runtime=lambda w, attempt: 240 * attempt,
    params:
        source=clear(lambda w: sources.prepare_source(w.dataset)),
    shell:
        "exec python -m patchvae prepare {wildcards.dataset:q} --stamp {output:q} 2> {log:q}"
