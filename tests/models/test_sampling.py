"""Samples of the two posteriors against torch.distributions, with fixed seeds."""

import pytest
import torch
from scipy import stats
from torch.distributions import RelaxedBernoulli

from patchvae.models import losses, sampling

N = 20_000


def test_gaussian_samples_have_the_mean_and_deviation_asked_for() -> None:
    torch.manual_seed(0)
    mean, log_var = torch.full((N,), 1.5), torch.full((N,), -1.2)
    z = sampling.gaussian(mean, log_var).numpy()
    reference = stats.norm(1.5, torch.tensor(-0.6).exp().item())
    assert stats.kstest(z, reference.cdf).pvalue > 0.01


def test_logistic_noise_is_logistic_and_finite() -> None:
    torch.manual_seed(0)
    drawn = sampling.logistic(torch.empty(N))
    assert torch.isfinite(drawn).all()
    assert stats.kstest(drawn.numpy(), stats.logistic.cdf).pvalue > 0.01


@pytest.mark.parametrize("u", [0.0, 1.0])
def test_logistic_noise_is_finite_for_the_extreme_uniform_numbers(
    u: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch, "rand_like", lambda like: torch.full_like(like, u))
    assert torch.isfinite(sampling.logistic(torch.empty(2))).all()


@pytest.mark.parametrize(("logit", "tau"), [(0.0, 1.0), (-2.0, 0.7), (1.0, 0.3)])
def test_relaxed_bernoulli_is_that_of_torch_distributions(logit: float, tau: float) -> None:
    torch.manual_seed(1)
    logits = torch.full((N,), logit, dtype=torch.float64)
    ours = sampling.relaxed_bernoulli(logits, tau)
    theirs = RelaxedBernoulli(torch.tensor(tau, dtype=torch.float64), logits=logits).sample()
    assert stats.ks_2samp(torch.logit(ours), torch.logit(theirs)).pvalue > 0.01


@pytest.mark.parametrize("logit", [-2.0, 0.0, 1.5])
def test_relaxed_bernoulli_tends_to_the_bernoulli_as_the_temperature_falls(logit: float) -> None:
    torch.manual_seed(2)
    z = sampling.relaxed_bernoulli(torch.full((N,), logit), 1e-4)
    between = ((z > 0.01) & (z < 0.99)).double().mean().item()
    p = torch.sigmoid(torch.tensor(logit)).item()
    assert between < 0.01
    assert abs(z.mean().item() - p) < 4 * (p * (1 - p) / N) ** 0.5


def test_temperature_may_be_a_tensor() -> None:
    logits = torch.linspace(-2, 2, 5)
    torch.manual_seed(3)
    ours = sampling.relaxed_bernoulli(logits, 0.5)
    torch.manual_seed(3)
    assert torch.equal(sampling.relaxed_bernoulli(logits, torch.tensor(0.5)), ours)


@pytest.mark.parametrize("name", ["gaussian", "relaxed_bernoulli"])
def test_gradients_are_those_of_finite_differences(name: str) -> None:
    def drawn(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        torch.manual_seed(4)  # the same noise at every evaluation
        if name == "gaussian":
            return sampling.gaussian(a, b)
        return sampling.relaxed_bernoulli(a, b.exp())

    values = [torch.randn(3, 4, dtype=torch.float64, requires_grad=True) for _ in range(2)]
    assert torch.autograd.gradcheck(drawn, values)


def test_visibility_in_eval_mode_is_the_probability_or_whether_it_exceeds_one_half() -> None:
    logits = torch.tensor([-3.0, -1e-6, 0.0, 1e-6, 2.0])
    assert torch.equal(sampling.visibility_mean(logits, hard=False), torch.sigmoid(logits))
    assert sampling.visibility_mean(logits, hard=True).tolist() == [0, 0, 0, 1, 1]


def test_log_probabilities_are_stable_and_complete() -> None:
    logits = torch.tensor([-500.0, -3.0, 0.0, 4.0, 500.0], dtype=torch.float64)
    log_p, log_q = losses.bernoulli_log_probs(logits)
    assert torch.isfinite(log_p).all()
    assert torch.isfinite(log_q).all()
    torch.testing.assert_close(log_p.exp() + log_q.exp(), torch.ones(5, dtype=torch.float64))
    torch.testing.assert_close(log_p - log_q, logits)
