"""The paper's losses against torch.distributions, closed forms, numerical integration and loops."""

import math
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from scipy import integrate, stats
from torch import Tensor
from torch.distributions import Bernoulli, Normal, kl_divergence

from patchvae.models import losses


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def weighted(x_hat: Tensor, x: Tensor) -> Tensor:
    return losses.weighted_squared_error(x_hat, x, losses.patch_weights(x))


def test_squared_error_is_summed_over_pixels_and_averaged_over_the_batch() -> None:
    x = torch.zeros(4, 3, 8, 8)
    x_hat = torch.full_like(x, 0.5)
    assert losses.squared_error(x_hat, x).item() == 3 * 8 * 8 * 0.25


def test_squared_error_is_the_sum_by_loops() -> None:
    x, x_hat = noise(2, 3, 8, 8), noise(2, 3, 8, 8, seed=1)
    total = sum(
        (x[i, c, y, z] - x_hat[i, c, y, z]).item() ** 2
        for i in range(2)
        for c in range(3)
        for y in range(8)
        for z in range(8)
    )
    assert losses.squared_error(x_hat, x).item() == pytest.approx(total / 2, rel=1e-12)


def test_gaussian_kl_is_that_of_torch_distributions() -> None:
    mean, log_var = noise(5, 7), noise(5, 7, seed=1)
    prior = Normal(torch.zeros_like(mean), torch.ones_like(mean))
    expected = kl_divergence(Normal(mean, (0.5 * log_var).exp()), prior).sum(1).mean()
    torch.testing.assert_close(losses.gaussian_kl(mean, log_var), expected)


@pytest.mark.parametrize(("mean", "log_var"), [(0.0, 0.0), (1.3, -0.7), (-2.0, 1.1)])
def test_gaussian_kl_is_the_integral(mean: float, log_var: float) -> None:
    q, p = stats.norm(mean, math.exp(0.5 * log_var)), stats.norm()
    integral, _ = integrate.quad(lambda z: q.pdf(z) * (q.logpdf(z) - p.logpdf(z)), -30, 30)
    parameters = (torch.tensor([[v]], dtype=torch.float64) for v in (mean, log_var))
    ours = losses.gaussian_kl(*parameters)
    assert ours.item() == pytest.approx(integral, abs=1e-9)


@pytest.mark.parametrize("prior", [0.01, 1 / 16, 0.5])
def test_bernoulli_kl_is_that_of_torch_distributions(prior: float) -> None:
    logits = 3 * noise(4, 2, 3, 3)
    expected = kl_divergence(
        Bernoulli(logits=logits), Bernoulli(torch.tensor(prior, dtype=torch.float64))
    )
    ours = losses.bernoulli_kl(logits, prior)
    torch.testing.assert_close(ours, expected.sum(dim=(1, 2, 3)).mean())


def test_bernoulli_kl_is_zero_at_the_prior_and_finite_for_any_logit() -> None:
    prior = 0.05
    at_prior = torch.full((1, 1, 2, 2), math.log(prior / (1 - prior)), dtype=torch.float64)
    assert losses.bernoulli_kl(at_prior, prior).item() == pytest.approx(0, abs=1e-15)
    for logit, closed in ((200.0, -math.log(prior)), (-200.0, -math.log1p(-prior))):
        extreme = torch.tensor([[logit]], requires_grad=True)
        kl = losses.bernoulli_kl(extreme, prior)
        kl.backward()
        assert kl.item() == pytest.approx(closed, rel=1e-6)
        assert extreme.grad is not None
        assert torch.isfinite(extreme.grad).all()


def test_judgements_are_the_binary_cross_entropies() -> None:
    logits = 5 * noise(6, 1)
    bce = F.binary_cross_entropy_with_logits
    torch.testing.assert_close(losses.judged_real(logits), bce(logits, torch.ones_like(logits)))
    torch.testing.assert_close(losses.judged_fake(logits), bce(logits, torch.zeros_like(logits)))


def test_laplacian_is_the_written_kernel_with_replicated_border() -> None:
    x = noise(2, 3, 16, 24)
    kernel = torch.tensor([[0.0, 1, 0], [1, -4, 1], [0, 1, 0]], dtype=torch.float64)
    padded = F.pad(x, (1, 1, 1, 1), mode="replicate")
    by_channel = F.conv2d(padded, kernel.expand(3, 1, 3, 3), groups=3)
    torch.testing.assert_close(losses.laplacian(x), by_channel.abs())


def test_laplacian_of_a_ramp_is_zero_inside_and_its_slope_at_the_border() -> None:
    ramp = torch.arange(8.0).expand(1, 3, 8, 8)
    expected = torch.zeros(1, 3, 8, 8)
    expected[..., 0] = expected[..., -1] = 1
    assert torch.equal(losses.laplacian(ramp), expected)


def test_patch_weights_have_mean_one_in_every_image_and_follow_the_energy() -> None:
    x = noise(3, 3, 32, 64)
    weights = losses.patch_weights(x)
    assert weights.shape == (3, 1, 4, 8)
    torch.testing.assert_close(weights.mean(dim=(1, 2, 3)), torch.ones(3, dtype=torch.float64))
    energy = losses.laplacian(x)[1].mean(0).unfold(0, 8, 8).unfold(1, 8, 8).mean(dim=(2, 3))
    torch.testing.assert_close(weights[1, 0], energy / energy.mean())


def test_pixel_weights_repeat_each_patch_and_sum_to_the_number_of_pixels() -> None:
    x = noise(2, 3, 32, 32)
    pixels = losses.pixel_weights(x)
    assert pixels.shape == (2, 1, 32, 32)
    assert torch.equal(pixels[:, :, 5::8, 2::8], losses.patch_weights(x))
    torch.testing.assert_close(pixels.sum(dim=(1, 2, 3)), torch.full((2,), 1024.0).double())


@pytest.mark.parametrize("value", [0.0, 1.0, -0.3137255, 0.1])
def test_a_constant_image_has_uniform_weights(value: float) -> None:
    x = torch.full((2, 3, 32, 32), value)
    assert torch.equal(losses.patch_weights(x), torch.ones(2, 1, 4, 4))
    assert torch.equal(losses.patch_weights(x, 8, "each"), torch.ones(2, 3, 4, 4))


def test_a_channel_may_have_weights_of_its_own() -> None:
    x = noise(2, 3, 32, 32)
    weights = losses.patch_weights(x, channels="each")
    for channel in range(3):
        alone = losses.patch_weights(x[:, [channel]])
        torch.testing.assert_close(weights[:, [channel]], alone)


def test_laplacian_of_eight_neighbours_is_the_written_kernel() -> None:
    x = noise(2, 3, 16, 24)
    kernel = torch.ones(3, 3, dtype=torch.float64)
    kernel[1, 1] = -8
    padded = F.pad(x, (1, 1, 1, 1), mode="replicate")
    by_channel = F.conv2d(padded, kernel.expand(3, 1, 3, 3), groups=3)
    torch.testing.assert_close(losses.laplacian(x, 8), by_channel.abs())


def test_one_constant_image_leaves_the_others_of_its_batch_alone() -> None:
    x = noise(2, 3, 32, 32)
    both = torch.stack([torch.zeros_like(x[0]), x[0]])
    assert torch.equal(losses.patch_weights(both)[1], losses.patch_weights(x)[0])


def test_weighted_error_is_the_plain_one_when_weights_are_uniform() -> None:
    x, x_hat = torch.full((2, 3, 32, 32), 0.2).double(), noise(2, 3, 32, 32)
    ours = weighted(x_hat, x)
    torch.testing.assert_close(ours, losses.squared_error(x_hat, x))


def test_weighted_error_weighs_every_pixel_by_its_patch() -> None:
    x, x_hat = noise(2, 3, 32, 32), noise(2, 3, 32, 32, seed=1)
    slow = (losses.pixel_weights(x) * (x - x_hat).square()).sum() / 2
    torch.testing.assert_close(weighted(x_hat, x), slow)


@pytest.mark.parametrize("shift", [0.25, 1.0])
def test_weights_do_not_change_when_the_contrast_does(shift: float) -> None:
    x = noise(1, 3, 32, 32)
    torch.testing.assert_close(losses.patch_weights(x), losses.patch_weights(3 * x + shift))


GRADIENTS: dict[str, Callable[[Tensor], Tensor]] = {
    "squared_error": lambda v: losses.squared_error(v, noise(1, 3, 8, 16, seed=2)),
    "weighted": lambda v: weighted(v, noise(1, 3, 8, 16, seed=2)),
    "gaussian_kl": lambda v: losses.gaussian_kl(v, v.flip(1)),
    "bernoulli_kl": lambda v: losses.bernoulli_kl(v, 0.05),
    "judged_real": losses.judged_real,
    "judged_fake": losses.judged_fake,
}


@pytest.mark.parametrize("name", GRADIENTS)
def test_gradients_are_those_of_finite_differences(name: str) -> None:
    value = noise(1, 3, 8, 16, seed=3).requires_grad_()
    assert torch.autograd.gradcheck(GRADIENTS[name], (value,))
