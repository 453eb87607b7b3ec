"""The controls are PatchVAE with one thing taken away, and nothing else."""

import pytest
import torch
from makers import LOSSES, MAKERS, images, make_parts
from torch.distributions import Normal, kl_divergence

from patchvae.models.base import Samples
from patchvae.models.controls import EverywhereVAE, SpatialVAE


def spatial(latent_dim: int = 12) -> SpatialVAE:
    return SpatialVAE(32, LOSSES["l2"], trunk="resnet9", latent_dim=latent_dim, beta=0.5)


@torch.no_grad()
def test_everywhere_is_a_patchvae_whose_parts_are_all_visible() -> None:
    torch.manual_seed(0)
    parts, control = make_parts().eval(), MAKERS["patchvae-everywhere"]().eval()
    assert isinstance(control, EverywhereVAE)
    parts.visibility.weight.zero_()
    parts.visibility.bias.fill_(1e4)
    control.trunk.load_state_dict(parts.trunk.state_dict())
    control.appearance.load_state_dict(parts.appearance.state_dict())
    control.decoder.load_state_dict(parts.decoder.state_dict())
    x = images()
    _, mean, log_var = parts.posterior(x)
    found = control.posterior(x)
    torch.testing.assert_close(found[0], mean.flatten(1))
    torch.testing.assert_close(found[1], log_var.flatten(1))
    x_hat, terms = control(x)
    theirs, their_terms = parts(x)
    torch.testing.assert_close(x_hat, theirs)
    torch.testing.assert_close(terms["kl_app"], their_terms["kl_app"])
    assert control.kl_weights == {"kl_app": parts.kl_weights["kl_app"]}


@torch.no_grad()
def test_the_spatial_kl_is_a_sum_over_all_cells() -> None:
    torch.manual_seed(0)
    vae, x = spatial().eval(), images()
    mean, log_var = (t.double() for t in vae.posterior(x))
    assert mean.shape == (4, 12, 4, 4)
    unit = Normal(torch.zeros_like(mean), torch.ones_like(mean))
    by_hand = kl_divergence(Normal(mean, (log_var / 2).exp()), unit).sum() / len(x)
    assert float(vae(x)[1]["kl"]) == pytest.approx(float(by_hand), rel=1e-5)
    loss, terms = vae.loss(x)
    assert float(loss) == pytest.approx(float(terms["recon"] + 0.5 * terms["kl"]), rel=1e-6)


def test_the_codes_have_the_sizes_that_the_table_says() -> None:
    """The decoder's input of PatchVAE, 96 a cell, and as many numbers as it samples, 22 a cell."""
    parts = make_parts(num_parts=16, part_dim=6)
    logits, mean, _ = parts.posterior(images())
    sampled = logits[0].numel() + mean[0].numel()
    assert spatial(22).posterior(images())[0][0].numel() == sampled
    decoder = [p.shape for p in parts.decoder.parameters()]
    assert [p.shape for p in spatial(96).decoder.parameters()] == decoder


@torch.no_grad()
@pytest.mark.parametrize("model", ["patchvae-everywhere", "spatial-vae"])
def test_samples_have_the_size_asked_for(model: str) -> None:
    vae = MAKERS[model]().eval()
    assert isinstance(vae, Samples)
    drawn = [vae.sample(2, 32, torch.Generator().manual_seed(k)) for k in (0, 0, 1)]
    assert drawn[0].shape == (2, 3, 32, 32)
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])
