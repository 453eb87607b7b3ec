"""Adversarial training around any VAE (paper, section 3.4; reading A8)."""

from torch import Tensor, nn

from patchvae.models.base import VAE, Phase, Terms, Unsupervised
from patchvae.models.discriminator import Discriminator
from patchvae.models.losses import judged_fake, judged_real
from patchvae.models.trunk import Trunk


class Adversarial(Unsupervised):
    """Two phases: the VAE pays also for reconstructions judged fake, then the discriminator learns.

    `reconstruction: pixel` keeps the VAE's own reconstruction loss and adds `weight` times the
    adversarial term; `features` replaces it by the same loss of the discriminator's third layer
    (Larsen et al. 2015), weighted by the image's patches where L_w is. One forward pass of the VAE
    serves both phases.
    """

    def __init__(self, vae: VAE, *, weight: float, reconstruction: str, discriminator: str) -> None:
        super().__init__()
        self.vae = vae
        self.discriminator = Discriminator(discriminator)
        self.weight = weight
        self.on_features = reconstruction == "features"
        self._fake: Tensor | None = None

    @property
    def trunk(self) -> Trunk:  # type: ignore[override]
        """The VAE's; a property, so that its weights are stored once."""
        return self.vae.trunk

    def at_step(self, step: int) -> None:
        self.vae.at_step(step)

    def blocks(self) -> dict[str, list[nn.Module]]:
        return self.vae.blocks() | {"discriminator": [self.discriminator]}

    def generator_loss(self, x: Tensor) -> tuple[Tensor, Terms]:
        x_hat, kls = self.vae(x)
        features = self.discriminator.features(x_hat)
        if self.on_features:
            true = self.discriminator.features(x).detach()
            recon = self.vae.reconstruction.of_features(features, true, x)
        else:
            recon = self.vae.reconstruction(x_hat, x)
        adversarial = judged_real(self.discriminator.score(features))
        self._fake = x_hat.detach()
        loss = recon + self.vae.divergence(kls) + self.weight * adversarial
        return loss, {"recon": recon, **kls, "adversarial": adversarial}

    def discriminator_loss(self, x: Tensor) -> tuple[Tensor, Terms]:
        assert self._fake is not None
        loss = judged_real(self.discriminator(x)) + judged_fake(self.discriminator(self._fake))
        return loss, {"discriminator": loss}

    def phases(self) -> list[Phase]:
        return [
            Phase("generator", list(self.vae.parameters()), self.generator_loss),
            Phase("discriminator", list(self.discriminator.parameters()), self.discriminator_loss),
        ]
