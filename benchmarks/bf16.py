"""Claim: bf16 pretrains 1.6 times as fast as fp32 on a CPU that has it, 0.4 times without.

    python benchmarks/bf16.py

Steps of the paper's beta-VAE and PatchVAE, 32 x 32, batches of 128, by turns: in fp32, under bf16
autocast, and under bf16 autocast with oneDNN kept from the instructions (ONEDNN_MAX_CPU_ISA), as on
a CPU that has AVX-512 but not them. Figures, hardware and n: docs/cost.md.
"""

import os
from contextlib import ExitStack

from common import CORES, Side, Timing, arguments, head, ratios, row, spread
from pretraining import ours

MODELS = ("beta-vae", "patchvae")
WITHOUT = "AVX512_CORE_VNNI"  # the last level of instructions before bfloat16


def limited(timing: Timing, model: str) -> Side:
    """bf16 in processes that see fewer instructions."""
    os.environ["ONEDNN_MAX_CPU_ISA"] = WITHOUT
    try:
        return timing.ours(ours, model, "bf16")
    finally:
        del os.environ["ONEDNN_MAX_CPU_ISA"]


def main() -> None:
    options = arguments(seconds=8).parse_args()
    timing = Timing.chosen(options)
    head(__doc__, options.rounds)
    print(
        f"images/s of {1 if options.alone else CORES} processes; in brackets smallest and largest"
    )
    row("", "fp32", "bf16", "bf16, no instructions", "bf16 / fp32", "without / fp32")
    for model in MODELS:
        with ExitStack() as stack:
            sides = {
                "fp32": timing.ours(ours, model, "fp32"),
                "bf16": timing.ours(ours, model, "bf16"),
                "without": limited(timing, model),
            }
            for side in sides.values():
                stack.enter_context(side)
            found = timing.interleave(sides, "train")
        against = [
            spread(ratios(found[name], found["fp32"]), ".2f") for name in ("bf16", "without")
        ]
        row(model, *(spread(found[name]) for name in sides), *against)


if __name__ == "__main__":
    main()
