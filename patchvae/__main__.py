"""`python -m patchvae`."""

from patchvae.cli import main
from patchvae.runtime import ignore_stops

try:
    main()
finally:
    ignore_stops()
