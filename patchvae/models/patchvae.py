"""PatchVAE (paper, sections 3.2 and 3.3).

N parts, each with a visibility map and one appearance.
"""

from dataclasses import dataclass
from typing import Any, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from patchvae.models import sampling
from patchvae.models.base import VAE, Terms
from patchvae.models.decoder import Pyramid
from patchvae.models.losses import Reconstruction, bernoulli_kl
from patchvae.models.schedules import Temperature
from patchvae.models.trunk import Trunk
from patchvae.numerics.precision import widen


@dataclass(frozen=True)
class Prior:
    """Bern(`visibility`) and N(0, I), the weights of the KLs to them; defaults of the protocol."""

    visibility: float
    beta_vis: float = 0.6
    beta_app: float = 1.0


class PatchVAE(VAE):
    """|x - x_hat|^2 + beta_vis KL(Q^V || Bern(prior_vis)) + beta_app KL(Q^A || N(0, I)), Eq. 11.

    The weights follow Table 5's caption, not the printed equation, which swaps them (reading A1).
    B images, N = `num_parts`, D = `part_dim`, an h x w grid of L cells. Any size that the trunk's
    stride divides. In eval mode the appearance is its mean and the visibility its probability
    (`eval_visibility: soft`) or whether that exceeds one half (`hard`).
    """

    tau: Tensor

    def __init__(
        self,
        size: int,
        recon: Reconstruction,
        *,
        trunk: str,
        num_parts: int,
        part_dim: int,
        prior: Prior,
        temperature: Temperature,
        eval_visibility: str = "soft",
        appearance_gradient: str = "full",
    ) -> None:
        super().__init__(recon, {"kl_vis": prior.beta_vis, "kl_app": prior.beta_app})
        self.N, self.D, self.prior_vis = num_parts, part_dim, prior.visibility
        self.temperature = temperature
        self.hard = eval_visibility == "hard"
        self.stop_weight_gradient = appearance_gradient == "stop"
        self.trunk = Trunk(trunk)
        C, ND = self.trunk.channels, num_parts * part_dim
        self.visibility = nn.Conv2d(C, num_parts, 3, 1, 1)
        self.appearance = nn.Conv2d(C, 2 * ND, 3, 1, 1)  # means, then log-variances
        self.decoder = Pyramid(ND, self.trunk.doublings)
        self.register_buffer("tau", torch.tensor(temperature.start), persistent=False)

    @classmethod
    def configured(cls, size: int, **settings: Any) -> Self:
        take = settings.pop
        prior = Prior(take("prior_vis"), take("beta_vis"), take("beta_app"))
        start, law = take("temperature"), take("temperature_law")
        falling = Temperature(law, start, take("temperature_rate"), take("temperature_floor"))
        return cls(size, prior=prior, temperature=falling, **settings)

    def at_step(self, step: int) -> None:
        self.tau.fill_(self.temperature(step))

    def blocks(self) -> dict[str, list[nn.Module]]:
        return {"heads": [self.visibility, self.appearance], "decoder": [self.decoder]}

    def posterior(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Visibility logits (B, N, h, w), appearance mean (B, N, D) and log-variance (B, N, D).

        Mean and variance of a part are averaged over the cells, weighted by the probability that
        the part is there (reading A18).
        """
        f = self.trunk(x)  # (B, C, h, w)
        logits = widen(self.visibility(f))  # (B, N, h, w)
        cells = widen(self.appearance(f)).flatten(2).unflatten(1, (2, self.N, self.D))
        mean, log_var = cells.unbind(1)  # (B, N, D, L)
        # p_l / sum_l p_l, finite even where every p underflows
        weights = F.softmax(F.logsigmoid(logits.flatten(2)), dim=-1)  # (B, N, L)
        if self.stop_weight_gradient:
            weights = weights.detach()
        mean = torch.einsum("bnl,bndl->bnd", weights, mean)
        log_var = torch.einsum("bnl,bndl->bnd", weights, log_var.exp()).log()
        return logits, mean, log_var

    def decode(self, z_vis: Tensor, z_app: Tensor) -> Tensor:
        """Place each appearance where its part is visible and decode (Eq. 4 and 5)."""
        code = z_vis[:, :, None] * z_app[..., None, None]  # (B, N, D, h, w)
        return self.decoder(code.flatten(1, 2))

    def sample(self, count: int, size: int, generator: torch.Generator) -> Tensor:
        """A part is visible with its prior's probability in each cell; its appearance ~ N(0, I)."""
        side = size // self.trunk.stride
        z_vis = torch.rand(count, self.N, side, side, generator=generator) < self.prior_vis
        z_app = torch.randn(count, self.N, self.D, generator=generator)
        return self.decode(z_vis.to(self.device, torch.float32), z_app.to(self.device))

    def forward(self, x: Tensor) -> tuple[Tensor, Terms]:
        logits, mean, log_var = self.posterior(x)
        if self.training:
            z_vis = sampling.relaxed_bernoulli(logits, self.tau)
            z_app = sampling.gaussian(mean, log_var)
        else:
            z_vis, z_app = sampling.visibility_mean(logits, self.hard), mean
        kl_vis, kl_app = bernoulli_kl(logits, self.prior_vis), self.latent_kl(mean, log_var)
        return self.decode(z_vis, z_app), {"kl_vis": kl_vis, "kl_app": kl_app}
