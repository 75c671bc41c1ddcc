"""What an initialization did to a model, parameter by parameter, and what it left alone."""

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from initlib.tables import Table

# E w^4 / (E w^2)^2. For N(0, 1) cut at +-2, with r = 4 phi(2) / (2 Phi(2) - 1) = 0.22626 the
# moments are m2 = 1 - r and m4 = 3 m2 - 4 r.
KURTOSIS = {"normal": 3.0, "uniform": 1.8, "truncated_normal": 2.36554}


@dataclass(frozen=True)
class AuditRow:
    """One filled matrix or vector; a field is None where it is not defined.

    Parameters
    ----------
    parameter : str
        The parameter's name in the model, with its block in brackets if it packs several matrices:
        ``"attn.in_proj_weight[q]"``.
    layer : str
        The type of the layer that owns it.
    shape : tuple of int
    fan_in, fan_out : int or float
        Fans of the matrix in its layer.
    scheme : str
        What filled it.
    target_std, measured_std : float
        By the scheme's law, and of the values it got.
    z : float
        ``(measured_std^2 / target_std^2 - 1)`` in units of its standard error, for laws with
        independent entries: beyond 4 in one of 16,000 matrices.
    note : str
        Ties, frozen parameters, further rules that match.
    """

    parameter: str
    layer: str
    shape: tuple[int, ...]
    fan_in: float | None
    fan_out: float | None
    scheme: str
    target_std: float | None
    measured_std: float | None
    z: float | None
    note: str


@dataclass(frozen=True, repr=False)
class Audit(Table):
    """The table that `initialize` returns; print it, or take ``to_frame()``.

    Parameters
    ----------
    rows : tuple of AuditRow
        What was filled, in the model's order.
    untouched : tuple of (str, str)
        Each parameter that kept its values, with the reason.
    unused : tuple of str
        The rules that filled nothing.
    """

    row_type: ClassVar = AuditRow

    rows: tuple[AuditRow, ...]
    untouched: tuple[tuple[str, str], ...] = ()
    unused: tuple[str, ...] = ()

    def remarks(self) -> list[str]:
        """Return a line for each untouched parameter and each unused rule."""
        return [f"untouched: {name} ({reason})" for name, reason in self.untouched] + [
            f"unused rule: {rule}" for rule in self.unused
        ]


def sample_std(tensor: Tensor) -> float | None:
    """Return the unbiased standard deviation, None for fewer than two values."""
    if tensor.numel() < 2:
        return None
    return tensor.detach().to(torch.promote_types(tensor.dtype, torch.float32)).std().item()


def z_score(measured: float | None, target: float | None, n: int, kurtosis: float) -> float | None:
    """Return how many standard errors the sample variance is off, None where that is undefined.

    The unbiased variance of n independent values has the relative variance
    ``(kurtosis - 3) / n + 2 / (n - 1)``, exactly.
    """
    if measured is None or not target:
        return None
    error = math.sqrt((kurtosis - 3) / n + 2 / (n - 1))
    return ((measured / target) ** 2 - 1) / error
