"""Tables that a call returns: rows of one dataclass, shown as text, as HTML or as a DataFrame."""

import html
from dataclasses import astuple, fields
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    import pandas


class Table:
    """What is common to the tables of this package; print one, or take ``to_frame()``.

    A subclass has the field ``rows``, a tuple of dataclass instances, and names their class.
    """

    row_type: ClassVar[type]
    rows: tuple

    def remarks(self) -> list[str]:
        """Return the lines to print below the rows."""
        return []

    def to_frame(self) -> "pandas.DataFrame":
        """Return the rows as a pandas DataFrame, a column for each of their fields."""
        import pandas  # only here: the package itself does without

        return pandas.DataFrame([vars(row) for row in self.rows], columns=list(self._header()))

    def __str__(self) -> str:
        table = [self._header(), *map(_cells, self.rows)]
        widths = [max(map(len, column)) for column in zip(*table, strict=True)]
        lines = [
            "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
            for line in table
        ]
        return "\n".join([*lines, *self.remarks()])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        def line(tag: str, cells: tuple[str, ...]) -> str:
            return "<tr>" + "".join(f"<{tag}>{html.escape(c)}</{tag}>" for c in cells) + "</tr>"

        table = [line("th", self._header()), *(line("td", _cells(row)) for row in self.rows)]
        remarks = (f"<p>{html.escape(remark)}</p>" for remark in self.remarks())
        return f"<table>{''.join(table)}</table>{''.join(remarks)}"

    def _header(self) -> tuple[str, ...]:
        return tuple(field.name for field in fields(self.row_type))


def _cells(row: object) -> tuple[str, ...]:
    return tuple(
        "" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)
        for value in astuple(row)
    )
