"""A model of the stack is the one that torch would train alone."""

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy

from initlib import initialize
from initlib.lab.text_source import Lexicon
from initlib.lab.transformer import Transformer, TransformerStack

LEXICON = Lexicon(["ba", "du", "badu"])
SHAPE = {"characters": len(LEXICON.alphabet), "length": 6, "width": 8, "heads": 2, "blocks": 2}
RATES = [0.003, 0.03, 0.01]


def models():
    made = [Transformer(**SHAPE) for _ in RATES]
    for seed, model in enumerate(made):
        initialize(model, "he_normal", seed=seed)
        for name, parameter in model.named_parameters():
            if "bias" in name:  # so that a bias which is lost is noticed
                parameter.data.fill_(0.1 + seed)
    return made


def text(step):
    return torch.stack([LEXICON.sample(10 * step + i, 5, 6)[0] for i in range(len(RATES))])


@pytest.mark.parametrize("clip", [1e9, 0.3])
def test_trains_as_each_model_alone_with_torch(clip):
    alone = models()
    stack = TransformerStack(alone, RATES, clip=clip)
    optimizers = [
        torch.optim.Adam(m.parameters(), lr=lr) for m, lr in zip(alone, RATES, strict=True)
    ]
    for step in range(4):
        now, expected = text(step), []
        for model, optimizer, own in zip(alone, optimizers, now, strict=True):
            optimizer.zero_grad()
            loss = cross_entropy(model(own[:, :-1]).flatten(0, 1), own[:, 1:].flatten())
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), clip)
            optimizer.step()
            expected.append(loss.item())
        np.testing.assert_allclose(stack.step(now), expected, rtol=2e-4)


def test_no_character_sees_a_later_one():
    stack = TransformerStack(models(), RATES)
    early, late = text(0)[..., :-1].clone(), text(0)[..., :-1].clone()
    late[..., 4:] = (late[..., 4:] + 1) % SHAPE["characters"]
    before, after = (stack.forward(tokens) for tokens in (early, late))
    torch.testing.assert_close(before[:, :, :4], after[:, :, :4])
    assert (before[:, :, 4:] - after[:, :, 4:]).abs().min() > 0


def test_watch_sees_the_stream_after_each_branch():
    seen, stack = [], TransformerStack(models(), RATES)
    stack.forward(text(0)[..., :-1], seen.append)
    assert [part.shape for part in seen] == [(3, 30, 8)] * 5
    model, tokens = models()[1], text(0)[1, :, :-1]
    start = model.token(tokens) + model.position.weight
    torch.testing.assert_close(seen[0][1].view(5, 6, 8), start)
    through = model.blocks[1](model.blocks[0](start))
    torch.testing.assert_close(seen[-1][1].view(5, 6, 8), through, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("change", [{"heads": 3}, {"blocks": 0}, {"width": 0}])
def test_impossible_shapes_are_refused(change):
    with pytest.raises(ValueError, match=next(iter(change))):
        Transformer(**SHAPE | change)


def test_impossible_stacks_are_refused():
    with pytest.raises(ValueError, match="one shape"):
        TransformerStack([Transformer(**SHAPE), Transformer(**SHAPE | {"blocks": 1})], [1, 1])
    with pytest.raises(ValueError, match="one shape"):
        TransformerStack([], [])
    for rates in ([0.1, 0.1], [0.1, -1, 0.1]):
        with pytest.raises(ValueError, match="positive rate"):
            TransformerStack(models(), rates)
