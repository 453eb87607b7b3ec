"""What every model promises: shapes, determinism in eval mode, phases, parameter counts."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from makers import LOSSES, images, make_adversarial, make_beta, make_parts
from torch import Tensor, nn

from patchvae.analysis.parameters import compare_counts
from patchvae.models import losses
from patchvae.models.base import VAE, Phase, Unsupervised
from patchvae.models.bigan import BiGAN
from patchvae.paper.published import parameters
from patchvae.training.phases import update

KINDS: dict[str, Callable[[], Unsupervised]] = {
    "beta-vae": make_beta,
    "patchvae-lw": lambda: make_parts(recon="lw"),
    "patchvae-gan": lambda: make_adversarial(make_parts()),
    "beta-vae-gan-features": lambda: make_adversarial(make_beta(), "features"),
    "bigan": lambda: BiGAN(32, trunk="resnet9", latent_dim=8, discriminator="ours"),
}


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def test_all_fifteen_published_parameter_counts_are_equalled(in_repo: Any) -> None:
    rows = compare_counts()
    assert len(rows) == len(parameters()) == 15
    assert [(str(key), ours) for key, _, ours in rows] == [(str(k), p) for k, p, _ in rows]


@pytest.mark.parametrize("size", [32, 64, 96])
def test_patchvae_takes_any_size_that_the_stride_divides(size: int) -> None:
    x_hat, kls = make_parts(size)(images(2, size))
    assert x_hat.shape == (2, 3, size, size)
    assert set(kls) == {"kl_vis", "kl_app"}


@pytest.mark.parametrize("size", [32, 64])
def test_beta_vae_takes_the_size_that_it_was_made_for(size: int) -> None:
    x_hat, kls = make_beta(size)(images(2, size))
    assert x_hat.shape == (2, 3, size, size)
    assert set(kls) == {"kl"}


def test_full_resnet18_models_have_five_doublings() -> None:
    vae = make_parts(64, trunk="resnet18")
    assert vae(images(2, 64))[0].shape == (2, 3, 64, 64)
    assert vae.posterior(images(2, 64))[0].shape == (2, 4, 2, 2)


@pytest.mark.parametrize(
    "make",
    [make_beta, make_parts, lambda: make_parts(eval_visibility="hard")],
    ids=["beta", "soft", "hard"],
)
def test_eval_mode_is_a_function_of_the_image_and_training_mode_is_not(
    make: Callable[[], VAE],
) -> None:
    vae, x = make(), images()
    vae.eval()
    first, second = vae(x)[0], vae(x)[0]
    assert torch.equal(first, second)
    alone = torch.cat([vae(one[None])[0] for one in x])
    torch.testing.assert_close(alone, first, atol=1e-5, rtol=1e-4)
    vae.train()
    assert not torch.equal(vae(x)[0], vae(x)[0])


def test_eval_mode_draws_no_random_number() -> None:
    vae, x = make_parts().eval(), images()
    before = torch.get_rng_state()
    vae(x)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("kind", ["beta-vae", "patchvae-lw"])
def test_vae_loss_is_reconstruction_plus_weighted_kls(kind: str) -> None:
    vae = KINDS[kind]().eval()
    assert isinstance(vae, VAE)
    x = images()
    loss, terms = vae.loss(x)
    x_hat, kls = vae(x)
    recon = LOSSES["l2" if kind == "beta-vae" else "lw"]
    weights = {"kl": 0.5} if kind == "beta-vae" else {"kl_vis": 0.6, "kl_app": 1.5}
    expected = recon(x_hat, x) + sum(weights[name] * kls[name] for name in weights)
    torch.testing.assert_close(loss, expected)
    torch.testing.assert_close(terms, {"recon": recon(x_hat, x), **kls})


@pytest.mark.parametrize("kind", KINDS)
def test_phases_are_disjoint_and_cover_the_model(kind: str) -> None:
    model = KINDS[kind]()
    owned = [id(p) for phase in model.phases() for p in phase.parameters]
    assert len(owned) == len(set(owned))
    assert set(owned) == {id(p) for p in model.parameters()}


class Descent:
    """Plain gradient descent on a phase that keeps what it was given and what it changed."""

    def __init__(self, model: nn.Module, phase: Phase, lr: float) -> None:
        self.model, self.phase, self.lr = model, phase, lr

    def snapshot(self) -> dict[str, Tensor]:
        return {name: p.detach().clone() for name, p in self.model.named_parameters()}

    @torch.no_grad()
    def step(self, gradients: Sequence[Tensor]) -> None:
        self.gradients = list(gradients)
        self.before = self.snapshot()
        for parameter, gradient in zip(self.phase.parameters, gradients, strict=True):
            parameter.sub_(self.lr * gradient)
        self.after = self.snapshot()


def step_once(model: Unsupervised, lr: float) -> list[Descent]:
    phases = model.phases()
    optimizers = [Descent(model, phase, lr) for phase in phases]
    update(phases, optimizers, images())  # type: ignore[arg-type]
    return optimizers


@pytest.mark.parametrize("kind", KINDS)
def test_each_phase_moves_its_own_parameters_and_no_others(kind: str) -> None:
    model = KINDS[kind]()
    previous = None
    for descent in step_once(model, lr=0.1):
        assert previous is None or all(map(torch.equal, previous, descent.before.values()))
        own = {id(p) for p in descent.phase.parameters}
        names = {name for name, p in model.named_parameters() if id(p) in own}
        moved = {n for n in descent.before if not torch.equal(descent.before[n], descent.after[n])}
        assert moved
        assert moved <= names
        previous = list(descent.after.values())


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_are_those_of_the_phase_that_owns_the_parameter(kind: str) -> None:
    """Each phase's gradient is that of its own loss, nothing added; none stays behind."""
    model, x = KINDS[kind](), images()
    start = {name: value.clone() for name, value in model.state_dict().items()}
    torch.manual_seed(5)
    descents = step_once(model, lr=0.0)
    assert all(p.grad is None for p in model.parameters())
    model.load_state_dict(start)
    torch.manual_seed(5)
    for descent in descents:
        model.zero_grad()
        descent.phase.loss(x)[0].backward()
        for parameter, gradient in zip(descent.phase.parameters, descent.gradients, strict=True):
            torch.testing.assert_close(gradient, parameter.grad)


@pytest.mark.parametrize("kind", KINDS)
def test_bn_of_trunk_and_decoder_is_updated_once_a_step(kind: str) -> None:
    model = KINDS[kind]()
    for _ in range(3):
        step_once(model, lr=0.0)
    counted = {
        name: int(value)
        for name, value in model.named_buffers()
        if name.endswith("num_batches_tracked") and "discriminator" not in name
    }
    assert any("decoder" in name for name in counted)
    assert set(counted.values()) == {3}


def test_adversarial_pixel_keeps_the_vaes_own_reconstruction() -> None:
    model = make_adversarial(make_parts(recon="lw")).eval()
    x = images()
    loss, terms = model.generator_loss(x)
    x_hat, kls = model.vae(x)
    torch.testing.assert_close(terms["recon"], LOSSES["lw"](x_hat, x))
    adversarial = losses.judged_real(model.discriminator(x_hat))
    expected = terms["recon"] + model.vae.divergence(kls) + 0.7 * adversarial
    torch.testing.assert_close(loss, expected)


def test_adversarial_features_compare_the_discriminators_third_layer() -> None:
    model = make_adversarial(make_beta(), "features").eval()
    x = images()
    _, terms = model.generator_loss(x)
    x_hat, _ = model.vae(x)
    features = model.discriminator.features
    expected = (features(x_hat) - features(x)).square().sum() / len(x)
    torch.testing.assert_close(terms["recon"], expected)


def test_discriminator_of_adversarial_tells_images_from_this_steps_reconstructions() -> None:
    model, x = make_adversarial(make_beta()).eval(), images()
    model.generator_loss(x)
    loss, _ = model.discriminator_loss(x)
    x_hat = model.vae(x)[0]
    D = model.discriminator
    expected = losses.judged_real(D(x)) + losses.judged_fake(D(x_hat))
    torch.testing.assert_close(loss, expected)


def test_bigan_swaps_the_labels_on_the_same_pairs() -> None:
    model, x = BiGAN(32, trunk="resnet9", latent_dim=8, discriminator="ours").eval(), images()
    torch.manual_seed(3)
    both, _ = model.encoder_generator_loss(x)
    against, _ = model.discriminator_loss(x)
    torch.manual_seed(3)
    z = torch.randn(len(x), 8)
    encoded, generated = (
        model.discriminator(x, model.encode(x)),
        model.discriminator(model.decoder(z), z),
    )
    torch.testing.assert_close(both, losses.judged_fake(encoded) + losses.judged_real(generated))
    torch.testing.assert_close(against, losses.judged_real(encoded) + losses.judged_fake(generated))


@pytest.mark.parametrize("kind", KINDS)
def test_a_few_steps_lower_the_loss_that_they_minimise(kind: str) -> None:
    """Every phase descends when it alone is stepped on one batch with the same noise."""
    model, x = KINDS[kind](), images(8)
    for phase in model.phases():
        optimizer = torch.optim.Adam(phase.parameters, lr=1e-3)
        values = []
        for _ in range(6):
            torch.manual_seed(9)
            loss, _ = phase.loss(x)
            values.append(loss.item())
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        assert values[-1] < values[0], phase.name
