"""`python -m patchvae`."""

from patchvae.cli import main

main()
