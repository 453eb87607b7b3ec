"""Decoders, discriminators, bottleneck and head: shapes, ranges and which layers have what."""

import pytest
import torch
from scipy import stats
from torch import nn

from patchvae.models.bottleneck import FixedBottleneck
from patchvae.models.decoder import LatentDecoder, Pyramid
from patchvae.models.discriminator import Discriminator, JointDiscriminator
from patchvae.models.head import Head, dropout
from patchvae.models.initial import initialise


@pytest.mark.parametrize(("size", "doublings"), [(32, 3), (64, 3), (224, 5)])
def test_pyramid_doubles_up_to_the_image(size: int, doublings: int) -> None:
    side = size // 2**doublings
    decoder = Pyramid(96, doublings)
    x_hat = decoder(50 * torch.randn(2, 96, side, side))
    assert x_hat.shape == (2, 3, size, size)
    assert x_hat.abs().max() <= 1
    convolutions = [m for m in decoder if isinstance(m, nn.ConvTranspose2d)]
    assert len(convolutions) == doublings + 1
    assert all(m.bias is None for m in convolutions)
    assert convolutions[-1].in_channels == 64
    assert isinstance(decoder[-1], nn.Tanh)


@pytest.mark.parametrize(("size", "doublings"), [(32, 3), (64, 3), (224, 5)])
def test_latent_decoder_makes_an_image_of_a_vector(size: int, doublings: int) -> None:
    decoder = LatentDecoder(96, size // 2**doublings, doublings)
    assert decoder(torch.randn(2, 96)).shape == (2, 3, size, size)


@pytest.mark.parametrize("design", ["ours", "release"])
@pytest.mark.parametrize("size", [32, 64, 224])
def test_discriminators_take_every_size_with_the_same_parameters(size: int, design: str) -> None:
    image, joint = Discriminator(design), JointDiscriminator(96, design)
    x = torch.randn(2, 3, size, size)
    assert image(x).shape == (2, 1)
    assert joint(x, torch.randn(2, 96)).shape == (2, 1)
    assert torch.equal(image.eval()(x), image.score(image.features(x)))
    assert image.features(x).shape == (2, 256, size // 8, size // 8)


@pytest.mark.parametrize(("design", "parameters"), [("ours", 663_361), ("release", 659_456)])
def test_discriminator_has_four_convolutions_two_of_them_with_bn(
    design: str, parameters: int
) -> None:
    network = Discriminator(design)
    leaves = [type(m) for m in network.modules()]
    assert leaves.count(nn.Conv2d) == 4
    assert leaves.count(nn.BatchNorm2d) == 2
    assert sum(p.numel() for p in network.parameters()) == parameters


def test_joint_discriminator_looks_at_both_its_inputs() -> None:
    torch.manual_seed(0)
    joint = JointDiscriminator(8, "ours").eval()
    x, z = torch.randn(2, 3, 32, 32), torch.randn(2, 8)
    assert not torch.allclose(joint(x, z), joint(x.flip(0), z))
    assert not torch.allclose(joint(x, z), joint(x, z.flip(0)))


@pytest.mark.parametrize("outputs", [1, 2])
def test_bottleneck_gives_vectors_and_only_its_heads_have_a_bias(outputs: int) -> None:
    bottleneck = FixedBottleneck(128, 4, 96, outputs)
    vectors = bottleneck(torch.randn(2, 128, 4, 4))
    assert [v.shape for v in vectors] == [(2, 96)] * outputs
    biased = [m.bias is not None for m in bottleneck.modules() if isinstance(m, nn.Conv2d)]
    assert biased == [False] + [True] * outputs


def test_head_takes_maps_and_flat_features_alike() -> None:
    head = Head(128 * 4 * 4, 10)
    h = torch.randn(3, 128, 4, 4)
    assert torch.equal(head(h), head(h.flatten(1)))
    assert [m.out_features for m in head if isinstance(m, nn.Linear)] == [512, 10]


@pytest.mark.parametrize("layer", [nn.Conv2d(32, 64, 3), nn.ConvTranspose2d(64, 32, 4, 2, 1)])
def test_kaiming_is_normal_by_fan_out_with_zero_bias(layer: nn.Module) -> None:
    torch.manual_seed(0)
    initialise(layer, "kaiming")
    expected = nn.init.calculate_gain("relu") / (64 * layer.weight[0, 0].numel()) ** 0.5
    drawn = layer.weight.detach().flatten().numpy()
    assert stats.kstest(drawn, stats.norm(0, expected).cdf).pvalue > 0.01
    assert not layer.bias.any()


def test_the_classifier_may_start_small_and_what_is_not_asked_for_stays() -> None:
    torch.manual_seed(0)
    head, before = Head(64, 10), Head(64, 10, scheme="normal")
    drawn = before[1].weight.detach().flatten().numpy()
    assert stats.kstest(drawn, stats.norm(0, 0.01).cdf).pvalue > 0.01
    assert not before[3].bias.any()
    unchanged = {name: value.clone() for name, value in head.state_dict().items()}
    initialise(head, "pytorch")
    initialise(head, "kaiming")  # of convolutions
    assert all(torch.equal(value, unchanged[name]) for name, value in head.state_dict().items())


def test_head_drops_features_in_training_only() -> None:
    torch.manual_seed(0)
    head = Head(64, 10, p=0.5)
    h = torch.randn(3, 64)
    assert not torch.equal(head(h), head(h))
    assert torch.equal(head.eval()(h), head(h))


def test_dropout_zeroes_a_share_and_keeps_the_mean() -> None:
    torch.manual_seed(0)
    x = torch.full((20_000, 2), 3.0)
    y = dropout(x, 0.25)
    kept = y != 0
    assert stats.binomtest(int(kept.sum()), 40_000, 0.75).pvalue > 0.01
    torch.testing.assert_close(y[kept], torch.full((int(kept.sum()),), 4.0))
    state = torch.get_rng_state()
    assert dropout(x, 0.0) is x
    assert torch.equal(torch.get_rng_state(), state)
