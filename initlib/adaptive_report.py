"""What scaling a model on data did to it, weight by weight, and what it left alone."""

from dataclasses import dataclass
from typing import ClassVar

from initlib.tables import Table


@dataclass(frozen=True)
class LsuvRow:
    """What was done to one weight.

    Parameters
    ----------
    parameter : str
        Its name in the model, with its block in brackets if it is packed with others:
        ``"attn.in_proj_weight[q]"``.
    layer : str
        The type of the layer that used it first.
    before, after : float
        Standard deviation at the first use, before and after scaling. Where the output is linear
        in the weight the latter is the target, and not measured again.
    across : float
        The standard deviation after scaling over samples alone, each unit around its own mean: what
        is left of the differences between the samples. NaN for a single sample.
    scale : float
        What the weight was multiplied by.
    passes : int
        How often it was scaled to get there: once where the output is linear in the weight.
    calls : int
        How often it was used.
    later : float or None
        Of its other uses, which change nothing, the standard deviation farthest from the target.
    note : str
        Ties, frozen parameters, means that no bias can take.
    """

    parameter: str
    layer: str
    before: float
    after: float
    across: float
    scale: float
    passes: int
    calls: int
    later: float | None
    note: str


@dataclass(frozen=True, repr=False)
class LsuvReport(Table):
    """The table that `lsuv_` returns; print it, or take ``to_frame()``.

    Parameters
    ----------
    rows : tuple of LsuvRow
        The weights that were scaled, in the order in which the data came to them.
    untouched : tuple of (str, str)
        Each weight that was not scaled, with the reason.
    """

    row_type: ClassVar = LsuvRow

    rows: tuple[LsuvRow, ...]
    untouched: tuple[tuple[str, str], ...] = ()

    def remarks(self) -> list[str]:
        """Return a line for each weight that was not scaled."""
        return [f"not scaled: {name} ({reason})" for name, reason in self.untouched]
