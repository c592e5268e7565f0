"""Muon: updates against the singular value decomposition in float64, and the rule written out by hand."""

from __future__ import annotations

import pytest
import torch

from assignment.lab.muon import ITERATIONS, Muon, blocks_and_rest, orthogonalised
from assignment.lab.pretrain import PretrainConfig, new_model
from rlhf_kit.models import load_tokenizer

# The quintic's fixed interval for singular values that are not tiny at the start (Jordan et al. 2024: .7 to 1.2).
LEAST, MOST = 0.65, 1.25
MATRICES = ("attn.c_attn", "attn.c_proj", "mlp.c_fc", "mlp.c_proj")


def with_values(n: int, m: int, values: torch.Tensor, seed: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return a matrix of these singular values, and its singular vectors (n, k), (k, m)."""
    generator = torch.Generator().manual_seed(seed)
    k = len(values)
    left = torch.linalg.qr(torch.randn(n, k, generator=generator, dtype=torch.float64))[0]
    right = torch.linalg.qr(torch.randn(m, k, generator=generator, dtype=torch.float64))[0].T
    return left * values @ right, left, right


@pytest.mark.parametrize(("n", "m"), [(5, 5), (4, 9), (11, 3)])
def test_an_update_keeps_the_singular_vectors_and_makes_the_values_nearly_one(n, m):
    values = torch.linspace(0.4, 2.3, min(n, m), dtype=torch.float64)
    matrix, left, right = with_values(n, m, values, seed=n)
    found = left.T @ orthogonalised(matrix) @ right.T
    kept = found.diagonal()
    assert kept.min() > LEAST
    assert kept.max() < MOST
    # float64 rounding, multiplied by some ten products of matrices
    assert torch.allclose(found, torch.diag(kept), rtol=0, atol=1e-11)
    assert torch.allclose(orthogonalised(matrix * 371.0), orthogonalised(matrix), rtol=1e-11, atol=1e-11)


def test_each_iteration_is_the_published_quintic_of_the_singular_values():
    values = torch.tensor([0.03, 0.2, 0.55, 0.8], dtype=torch.float64)
    values /= values.norm()  # the first thing that is done to a matrix
    matrix, left, right = with_values(4, 7, values, seed=3)
    for _ in range(ITERATIONS):
        values = 3.4445 * values - 4.7750 * values**3 + 2.0315 * values**5
    found = (left.T @ orthogonalised(matrix) @ right.T).diagonal()
    assert torch.allclose(found, values, rtol=1e-10, atol=0)


def test_a_zero_gradient_makes_a_zero_update():
    assert torch.equal(orthogonalised(torch.zeros(3, 5)), torch.zeros(3, 5))


def test_two_steps_follow_the_rule_written_out():
    generator = torch.Generator().manual_seed(7)
    start = torch.randn(4, 6, generator=generator, dtype=torch.float64)
    gradients = [torch.randn(4, 6, generator=generator, dtype=torch.float64) for _ in range(2)]
    weight = torch.nn.Parameter(start.clone())
    optimizer = Muon([weight], lr=0.03, momentum=0.8, weight_decay=0.4)
    expected, total = start.clone(), torch.zeros_like(start)
    for gradient in gradients:
        weight.grad = gradient.clone()
        optimizer.step()
        total = 0.8 * total + gradient  # the sum; its scale does not matter, since updates are made orthogonal
        expected = expected * (1 - 0.03 * 0.4) - 0.03 * 0.2 * 6**0.5 * orthogonalised(gradient + 0.8 * total)
        assert torch.allclose(weight.data, expected, rtol=1e-9, atol=1e-9)


def test_matrices_side_by_side_are_made_orthogonal_one_by_one():
    generator = torch.Generator().manual_seed(9)
    gradient = torch.cat([torch.randn(4, 4, generator=generator) * size for size in (1.0, 1e-3, 40.0)], dim=1)
    weight = torch.nn.Parameter(torch.zeros(4, 12))
    weight.grad = gradient
    Muon([weight], lr=1.0, parts=3).step()
    expected = torch.cat([orthogonalised(part) for part in gradient.split(4, dim=1)], dim=1)
    assert torch.allclose(weight.data, -0.2 * 12**0.5 * expected, rtol=1e-5, atol=1e-6)  # float32 rounding


def test_every_parameter_has_one_optimizer_and_muon_has_the_matrices_inside_blocks():
    model = new_model(load_tokenizer(), PretrainConfig(width=32, layers=2, heads=2))
    muon, adamw = blocks_and_rest(model, 0.005, 0.003, 0.05)
    names = {id(weight): name for name, weight in model.named_parameters()}
    taken = [[names[id(p)] for group in part.param_groups for p in group["params"]] for part in (muon, adamw)]
    assert sorted(taken[0] + taken[1]) == sorted(names.values())
    inside = [f"transformer.h.{i}.{part}.weight" for i in (0, 1) for part in MATRICES]
    assert sorted(taken[0]) == sorted(inside)
    assert {names[id(p)].split(".")[-2] for p in muon.param_groups[0]["params"]} == {"c_attn"}
    assert (muon.param_groups[0]["parts"], muon.param_groups[1]["parts"]) == (3, 1)
