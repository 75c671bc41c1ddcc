from dataclasses import dataclass
from typing import ClassVar

from initlib.tables import Table


@dataclass(frozen=True)
class Row:
    name: str
    value: float | None
    count: int = 1


@dataclass(frozen=True, repr=False)
class Sample(Table):
    row_type: ClassVar = Row

    rows: tuple[Row, ...]
    left: str = ""

    def remarks(self) -> list[str]:
        return [f"left: {self.left}"] if self.left else []


SAMPLE = Sample((Row("<a>", 0.123456), Row("longer", None, 20)), "b & c")


def test_the_text_is_aligned_and_blank_where_there_is_no_value():
    assert str(SAMPLE).splitlines() == [
        "name    value   count",
        "<a>     0.1235  1",
        "longer          20",
        "left: b & c",
    ]
    assert repr(SAMPLE) == str(SAMPLE)


def test_the_html_is_escaped():
    page = SAMPLE._repr_html_()
    assert "<th>value</th>" in page
    assert "<td>&lt;a&gt;</td><td>0.1235</td><td>1</td>" in page
    assert page.endswith("<p>left: b &amp; c</p>")


def test_the_frame_has_every_field_and_digit():
    frame = SAMPLE.to_frame()
    assert frame.to_dict("list")["name"] == ["<a>", "longer"]
    assert frame.value[0] == 0.123456
    assert frame.value.isna().tolist() == [False, True]
    assert list(Sample(()).to_frame().columns) == ["name", "value", "count"]
    assert str(Sample(())) == "name  value  count"
