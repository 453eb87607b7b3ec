"""PatchVAE's bottleneck computed the slow way, and its switches."""

import pytest
import torch
from makers import images, make_adversarial, make_parts
from torch import Tensor

from patchvae.models.losses import Reconstruction
from patchvae.models.patchvae import PatchVAE, Prior
from patchvae.models.schedules import Temperature, temperature
from patchvae.study.protocol import protocol


def slow_appearance(vae: PatchVAE, x: Tensor) -> tuple[Tensor, Tensor]:
    """Visibility-weighted mean and variance of each part, cell by cell, in double precision."""
    f = vae.trunk(x)
    p = torch.sigmoid(vae.visibility(f)).double()
    cells = vae.appearance(f).double()
    B, N, h, w = p.shape
    mean = torch.zeros(B, N, vae.D, dtype=torch.float64)
    variance = torch.zeros_like(mean)
    for b in range(B):
        for n in range(N):
            total = p[b, n].sum()
            for i in range(h):
                for j in range(w):
                    weight = p[b, n, i, j] / total
                    for d in range(vae.D):
                        row = n * vae.D + d
                        mean[b, n, d] += weight * cells[b, row, i, j]
                        variance[b, n, d] += weight * cells[b, N * vae.D + row, i, j].exp()
    return mean, variance


@torch.no_grad()
def test_appearance_is_the_visibility_weighted_mean_over_cells() -> None:
    torch.manual_seed(0)
    vae = make_parts().eval()
    vae.visibility.weight.mul_(3)
    _, mean, log_var = vae.posterior(images(2))
    slow_mean, slow_variance = slow_appearance(vae, images(2))
    torch.testing.assert_close(mean.double(), slow_mean, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(log_var.exp().double(), slow_variance, atol=1e-5, rtol=1e-4)


@torch.no_grad()
def test_appearance_is_finite_where_no_part_is_visible() -> None:
    vae = make_parts().eval()
    vae.visibility.bias.fill_(-1e4)  # every sigmoid underflows to zero
    _, mean, log_var = vae.posterior(images(2))
    assert torch.isfinite(mean).all()
    assert torch.isfinite(log_var).all()


@torch.no_grad()
def test_n_parts_in_one_pass_equal_n_passes_of_one_part() -> None:
    torch.manual_seed(0)
    vae = make_parts().eval()
    x, N, D = images(2), vae.N, vae.D
    logits, mean, log_var = vae.posterior(x)
    rows = torch.arange(2 * N * D).view(2, N, D)
    for n in range(N):
        one = make_parts(num_parts=1).eval()
        one.trunk = vae.trunk
        one.visibility.weight.copy_(vae.visibility.weight[n : n + 1])
        one.visibility.bias.copy_(vae.visibility.bias[n : n + 1])
        one.appearance.weight.copy_(vae.appearance.weight[rows[:, n].flatten()])
        one.appearance.bias.copy_(vae.appearance.bias[rows[:, n].flatten()])
        for ours, whole in zip(one.posterior(x), (logits, mean, log_var), strict=True):
            torch.testing.assert_close(ours[:, 0], whole[:, n], atol=1e-5, rtol=1e-4)


@torch.no_grad()
def test_an_appearance_is_placed_where_its_part_is_visible() -> None:
    vae = make_parts()
    z_vis, z_app = torch.rand(2, vae.N, 4, 4), torch.randn(2, vae.N, vae.D)
    seen: list[Tensor] = []
    vae.decoder.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    vae.decode(z_vis, z_app)
    for n in range(vae.N):
        for d in range(vae.D):
            expected = z_vis[:, n] * z_app[:, n, d, None, None]
            torch.testing.assert_close(seen[0][:, n * vae.D + d], expected)


@pytest.mark.parametrize("switch", ["full", "stop"])
def test_gradient_of_the_appearance_through_the_visibility_weights(switch: str) -> None:
    torch.manual_seed(0)
    vae = make_parts(appearance_gradient=switch)
    _, mean, _ = vae.posterior(images(2))
    mean.square().sum().backward()
    gradient = vae.visibility.weight.grad
    if switch == "stop":
        assert gradient is None
    else:
        assert gradient is not None
        assert gradient.abs().max() > 0


def test_the_switch_changes_gradients_and_not_values() -> None:
    posteriors = []
    for switch in ("full", "stop"):
        torch.manual_seed(0)
        posteriors.append(make_parts(appearance_gradient=switch).eval().posterior(images(2)))
    assert all(map(torch.equal, *posteriors))


@torch.no_grad()
def test_hard_visibility_is_zero_or_one_and_soft_its_probability() -> None:
    for mode in ("soft", "hard"):
        torch.manual_seed(0)
        vae = make_parts(eval_visibility=mode).eval()
        logits, mean, _ = vae.posterior(images(2))
        z_vis = torch.sigmoid(logits) if mode == "soft" else (logits > 0).float()
        torch.testing.assert_close(vae(images(2))[0], vae.decode(z_vis, mean))


def test_temperature_is_a_function_of_the_step_and_reaches_the_wrapped_model() -> None:
    vae = make_parts()
    model = make_adversarial(vae)
    for step in (11_700, 0, 100_000, 11_700):
        model.at_step(step)
        assert vae.tau.item() == pytest.approx(temperature(step, 1.0, 3e-5, 0.1), rel=1e-6)
    assert "tau" not in vae.state_dict()


def test_the_defaults_are_the_protocols() -> None:
    """A converted checkpoint of the release has them."""
    printed = {key: entry.value for key, entry in protocol().items()}
    model = PatchVAE(
        32,
        Reconstruction(),
        trunk="resnet9",
        num_parts=4,
        part_dim=3,
        prior=Prior(0.25),
        temperature=Temperature(),
    )
    assert model.kl_weights["kl_vis"] == printed["model.beta_vis"]
    assert model.kl_weights["kl_app"] == printed["model.beta_app"]
    assert model.temperature == Temperature(
        law=printed["model.temperature_law"],
        start=printed["model.temperature"],
        rate=printed["model.temperature_rate"],
        floor=printed["model.temperature_floor"],
    )
    assert model.hard == (printed["model.eval_visibility"] == "hard")
    assert model.stop_weight_gradient == (printed["model.appearance_gradient"] == "stop")
