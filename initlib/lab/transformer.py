"""A small transformer in torch's own layers, and many of them trained as one program.

Pre-norm, as GPT-2 (Radford et al. 2019): with u = LayerNorm(x), each of N blocks adds two branches
to the residual stream, x <- x + attention(u), then x <- x + W_down gelu(W_up u). The parameters of
R models are stacked in one matrix (R, P), so that a layer of all of them is one batched product. No
model sees another: each is the one that would be trained alone.
"""

from collections.abc import Callable, Sequence
from math import prod

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu, layer_norm, scaled_dot_product_attention

__all__ = ["Transformer", "TransformerStack"]


class Block(nn.Module):
    """Attention and a network of one hidden layer, each a branch of the residual stream."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.before_attention, self.before_mlp = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = nn.MultiheadAttention(width, heads, batch_first=True)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        """Add both branches to the stream (batch, T, width)."""
        u, length = self.before_attention(x), x.shape[1]
        later = torch.ones(length, length, dtype=torch.bool).triu(1)
        x = x + self.attention(u, u, u, attn_mask=later, need_weights=False)[0]
        return x + self.down(gelu(self.up(self.before_mlp(x))))


class Transformer(nn.Module):
    """A model of text: characters in, logits of the next character out.

    Parameters
    ----------
    characters : int
        Size of the alphabet.
    length : int
        Characters that it sees at most, T.
    width, heads, blocks : int
        Width n of the stream, attention heads (a divisor of n), and N.
    """

    def __init__(self, characters: int, length: int, width: int, heads: int, blocks: int):
        super().__init__()
        counts = {"characters": characters, "length": length, "width": width}
        for name, count in (counts | {"heads": heads, "blocks": blocks}).items():
            if count < 1:
                raise ValueError(f"{name} must be at least 1, got {count}")
        if width % heads:
            raise ValueError(f"heads must divide the width, got {heads} and {width}")
        self.heads, self.length = heads, length
        self.token, self.position = nn.Embedding(characters, width), nn.Embedding(length, width)
        self.blocks = nn.ModuleList(Block(width, heads) for _ in range(blocks))
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, characters, bias=False)

    def forward(self, tokens: Tensor) -> Tensor:
        """Return logits (batch, T, characters) for tokens (batch, T)."""
        x = self.token(tokens) + self.position.weight[: tokens.shape[1]]
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x))


class TransformerStack:
    """R models of one shape and their Adam, as one program.

    Parameters
    ----------
    models : sequence of Transformer
        With their weights; they are copied.
    lr : sequence of float
        Learning rate of each.
    clip : float
        Largest norm of a model's gradient; a longer one is shortened to it.

    Raises
    ------
    ValueError
        For no model, models of several shapes, or rates that are not one positive number each.

    References
    ----------
    Kingma and Ba 2015 (Adam, at its customary averages 0.9 and 0.999).
    """

    def __init__(self, models: Sequence[Transformer], lr: Sequence[float], clip: float = 1.0):
        shapes = [{n: p.shape for n, p in model.named_parameters()} for model in models]
        if not shapes or any(own != shapes[0] for own in shapes):
            raise ValueError(f"a stack needs models of one shape, got {len(shapes)} of several")
        self.lr = torch.as_tensor(lr, dtype=torch.float32)[:, None]
        if len(self.lr) != len(models) or not (self.lr.isfinite() & (self.lr > 0)).all():
            raise ValueError(f"each of {len(models)} models needs a positive rate, got {lr}")
        self.shapes, self.blocks = shapes[0], len(models[0].blocks)
        self.heads, self.clip, self.steps = models[0].heads, clip, 0
        rows = [torch.cat([p.detach().flatten() for p in m.parameters()]) for m in models]
        self.parameters = torch.stack(rows).requires_grad_()
        self.mean, self.square = (torch.zeros_like(rows[0].expand(len(rows), -1)) for _ in "ms")

    def named(self) -> dict[str, Tensor]:
        """Return each parameter by its name in the model, stacked (R, ...)."""
        parts = self.parameters.split([prod(shape) for shape in self.shapes.values()], dim=1)
        pairs = zip(self.shapes.items(), parts, strict=True)
        return {name: part.view(-1, *shape) for (name, shape), part in pairs}

    def forward(self, tokens: Tensor, watch: Callable[[Tensor], object] | None = None) -> Tensor:
        """Return the logits of all models.

        Parameters
        ----------
        tokens : Tensor, int64, shape (R, B, T)
            What each model reads.
        watch : callable, optional
            Given the residual stream (R, B T, n) at the start and after each branch.

        Returns
        -------
        Tensor, shape (R, B, T, characters)
        """
        own, (count, batch, length) = self.named(), tokens.shape
        characters, width = self.shapes["token.weight"]

        def linear(name: str, x: Tensor, weight: str = ".weight", bias: str = ".bias") -> Tensor:
            return torch.baddbmm(own[name + bias][:, None], x, own[name + weight].mT)

        def norm(name: str, x: Tensor) -> Tensor:
            scale, shift = own[f"{name}.weight"][:, None], own[f"{name}.bias"][:, None]
            return torch.addcmul(shift, layer_norm(x, (width,)), scale)

        rows = tokens.flatten(1) + characters * torch.arange(count)[:, None]
        x = nn.functional.embedding(rows, own["token.weight"].flatten(0, 1))
        x = x.view(count, batch, length, width) + own["position.weight"][:, None, :length]
        x = x.flatten(1, 2)
        watch = watch or (lambda stream: None)
        watch(x)
        for block in (f"blocks.{i}" for i in range(self.blocks)):
            u, name = norm(f"{block}.before_attention", x), f"{block}.attention"
            packed = linear(name, u, ".in_proj_weight", ".in_proj_bias")
            packed = packed.view(count * batch, length, 3, self.heads, width // self.heads)
            heads = scaled_dot_product_attention(*packed.permute(2, 0, 3, 1, 4), is_causal=True)
            heads = heads.transpose(1, 2).reshape(count, batch * length, width)
            x = x + linear(f"{name}.out_proj", heads)
            watch(x)
            hidden = gelu(linear(f"{block}.up", norm(f"{block}.before_mlp", x)))
            x = x + linear(f"{block}.down", hidden)
            watch(x)
        logits = norm("norm", x) @ own["head.weight"].mT
        return logits.view(count, batch, length, characters)

    def losses(self, text: Tensor) -> Tensor:
        """Return mean cross-entropies (R,), in nats, on text (R, B, 1 + T)."""
        logits = self.forward(text[..., :-1])
        chances = logits.log_softmax(dim=-1).gather(-1, text[..., 1:, None])
        return -chances.mean(dim=(1, 2, 3))

    def step(self, text: Tensor) -> Tensor:
        """Update on text (R, B, 1 + T); return the losses (R,) before."""
        losses = self.losses(text)
        (gradient,) = torch.autograd.grad(losses.sum(), self.parameters)
        with torch.no_grad():
            norm = gradient.norm(dim=1, keepdim=True)
            gradient *= (self.clip / norm).clamp_max(1)
            self.steps += 1
            self.mean.lerp_(gradient, 1 - 0.9)
            self.square.mul_(0.999).addcmul_(gradient, gradient, value=1 - 0.999)
            correction = (1 - 0.999**self.steps) ** 0.5
            step = self.mean / self.square.sqrt().add_(1e-8 * correction)
            self.parameters.addcmul_(step, -self.lr * correction / (1 - 0.9**self.steps))
        return losses.detach()
