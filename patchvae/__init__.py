"""Regenerates every table and figure of the PatchVAE paper."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from patchvae.training.network import Network, load

__version__ = "1.0.0"
__all__ = ["Network", "__version__", "load"]


def __getattr__(name: str) -> Any:
    """`load` and `Network`, imported when they are first used, since they need torch."""
    if name in ("Network", "load"):
        from patchvae.training import network

        return getattr(network, name)
    raise AttributeError(f"module 'patchvae' has no attribute '{name}'")
