"""Sums over a signal that cost no more than reading it."""

from dataclasses import dataclass

import torch
from torch import Tensor

_ROW = 1 << 12  # squares added in float32: relative errors of 1e-8, an eighth of its epsilon


@dataclass(frozen=True)
class Sums:
    """Sums over a tensor of samples along its first dimension, on its device until they are read.

    Norms are of rows of a few thousand values, to be squared and added in float64: as exact as
    float64 throughout. Of `units`, the sums over samples, only pairs of samples need to know.
    """

    count: int
    samples: int
    total: Tensor
    norms: Tensor
    units: Tensor | None = None

    @classmethod
    def of(cls, signal: Tensor, pairs: bool = False) -> "Sums":
        """Read a signal, of any layout and float dtype."""
        wide = torch.promote_types(signal.dtype, torch.float32)
        count, samples = signal.numel(), signal.shape[0] if signal.ndim > 1 else 1
        units = signal.sum(0, dtype=wide) if pairs and samples > 1 else None
        total = (signal if units is None else units).sum(dtype=wide)
        return cls(count, samples, total, row_norms(signal, wide), units)

    @property
    def squares(self) -> float:
        """The sum of all y^2."""
        return sum_of_squares(self.norms)

    @property
    def mean(self) -> float:
        """E y."""
        return self.total.item() / self.count

    @property
    def second_moment(self) -> float:
        """E y^2."""
        return self.squares / self.count

    @property
    def correlation(self) -> float | None:
        """E y(a) y(b) / E y^2 over pairs of different samples."""
        squares = 0.0 if self.units is None else self.squares
        if not squares > 0:
            return None
        return (self.units.double().square().sum().item() / squares - 1) / (self.samples - 1)


def row_norms(signal: Tensor, dtype: torch.dtype) -> Tensor:
    """Return the norms of rows of a few thousand values, for which this precision is enough."""
    count = signal.numel()
    if count <= _ROW:
        return torch.linalg.vector_norm(signal, dtype=dtype)
    flat, rest = signal.reshape(-1), count % _ROW
    rows = (flat[: count - rest] if rest else flat).view(-1, _ROW)
    norms = torch.linalg.vector_norm(rows, dim=1, dtype=dtype)
    if not rest:
        return norms
    return torch.cat([norms, torch.linalg.vector_norm(flat[-rest:], dtype=dtype)[None]])


def squared_norm(values: Tensor) -> float:
    """Add the squares of all values of a tensor."""
    return sum_of_squares(row_norms(values, torch.promote_types(values.dtype, torch.float32)))


def sum_of_squares(norms: Tensor) -> float:
    """Add the squares of norms in float64."""
    # A list is a third of the cost of four tensor operations, as most signals have few rows.
    return sum(norm * norm for norm in norms.reshape(-1).tolist())
