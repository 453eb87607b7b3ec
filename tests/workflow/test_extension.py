"""A new hyper-parameter is three places: the protocol, the registry and the model."""

from checkout import PARTS, REPO


def test_a_hyper_parameter_touches_three_files_and_trains(fresh):
    fresh.edit(
        "config/protocol.yaml",
        "  temperature:\n",
        '  surcharge:\n    type: number\n    range: "[0, 9)"\n    prefix: extra\n    value: 0.5\n'
        "    source: ours\n    where: a test\n    about: added to beta_vis\n  temperature:\n",
    )
    fresh.edit("patchvae/study/registry.py", '"beta_app")', '"beta_app", "surcharge")')
    model = "patchvae/models/patchvae.py"
    fresh.edit(model, 'take("beta_vis"),', 'take("beta_vis") + take("surcharge"),')
    assert changed(fresh.folder) == {"config/protocol.yaml", "patchvae/study/registry.py", model}

    refused = fresh.run("patchvae", "pretrain", run("9"))
    assert refused.returncode == 2
    assert "model.surcharge: 9 is greater than or equal to the maximum of 9" in refused.stderr
    target = f"results/{run('0.5').replace('tiny/', 'tiny/runs/')}/pretrain/metrics.json"
    done = fresh.snakemake(target)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "surcharge: 0.5" in (fresh.folder / target).with_name("config.yaml").read_text()
    # a study sets it, and every path follows
    fresh.edit("config/tiny.yaml", "protocol:\n", "protocol:\n  model: {surcharge: 2}\n")
    done = fresh.snakemake("--dry-run", "tables/tiny/table5.tex")
    assert "bapp1-extra2/seed0" in done.stdout


def run(surcharge: str) -> str:
    return f"tiny/parts32/patchvae/N4-d2-prior0.25-bvis0.6-bapp1-extra{surcharge}/seed0"


def changed(folder) -> set[str]:
    """The project's files that differ from the repository's."""
    files = [p for part in PARTS for p in (REPO / part, *(REPO / part).rglob("*")) if p.is_file()]
    names = [p.relative_to(REPO) for p in files if "__pycache__" not in p.parts]
    return {str(n) for n in names if (folder / n).read_bytes() != (REPO / n).read_bytes()}
