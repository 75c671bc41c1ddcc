"""Measured values become LaTeX macros, and a report that uses them compiles."""

import re
import shutil
import subprocess

import pytest
from click.testing import CliRunner

from initlib.lab.citing import cite, published
from initlib.lab.claims import Claims
from initlib.lab.cli import main
from initlib.lab.paths import write_atomic
from initlib.lab.reports.macros import export_tex, in_math, macro_name
from initlib.lab.rules import exact, within

COMMAND = re.compile(r"^\\newcommand\{\\([A-Za-z]+)\}\{(.*)\}$", re.MULTILINE)
needs_latex = pytest.mark.skipif(
    shutil.which("pdflatex") is None,
    reason="no pdflatex here: apt-get install texlive-latex-recommended",
)


@pytest.fixture
def folder(tmp_path):
    claims = Claims("05-toy", folder=tmp_path / "run")
    rule = within()
    claims.check("toy-q", "It is 1:\n50 %", measured=1.0321, se=0.0123, rule=rule, predicted=1)
    ratios = {"22 layers": 1.0, "30 layers": [2.0, float("nan")]}
    claims.check("toy-ratio", "It is 1", measured=ratios["22 layers"], rule=exact(), predicted=1)
    claims.check("toy-cells", "All", measured=[1.0, -2.5e-9], rule=exact(), predicted=1)
    claims.record("toy-steps", 743.2, se=31.4, unit="steps")
    write_atomic(tmp_path / "results/05-toy.json", claims.path.read_bytes())
    return tmp_path


def test_every_value_and_error_has_a_macro(folder):
    assert dict(COMMAND.findall(export_tex(folder))) == {
        "claimToyQ": r"\ensuremath{1.032}",
        "claimToyQError": r"\ensuremath{0.012}",
        "claimToyQVerdict": "holds",
        "claimToyRatio": r"\ensuremath{1}",
        "claimToyRatioVerdict": "holds",
        "claimToyCellsOne": r"\ensuremath{1}",
        "claimToyCellsTwo": r"\ensuremath{-2.5\times10^{-9}}",
        "claimToyCellsVerdict": "holds in part",
        "numberToySteps": r"\ensuremath{743}",
        "numberToyStepsError": r"\ensuremath{31}",
    }


def test_a_comment_says_what_a_number_is_and_what_it_was_held_against(folder):
    lines = export_tex(folder).splitlines()
    at = lines.index("% 05-toy: toy-q. It is 1: 50 %")
    assert lines[at + 1].startswith("% How it was decided: within")
    assert "% 05-toy: toy-steps (steps)" in lines


@pytest.mark.parametrize(
    ("value", "se", "text"),
    [
        (1.0, None, "1"),
        (16728.7636, 0.0, "16728.8"),
        (9.313225746154785e-10, None, r"9.31323\times10^{-10}"),
        (-0.0012, 0.00041, "-0.00120"),
        (12345.6, 3100.0, "12346"),
        (2.5e-9, 1e-10, r"2.50\times10^{-9}"),
        (1.5e7, 2e5, r"1.500\times10^{7}"),
        (3e-9, 1e-7, r"3\times10^{-9}"),
        (0.0, 1e-9, "0"),
        (-743.2, 31.4, "-743"),
    ],
)
def test_a_number_has_the_digits_that_its_error_supports(value, se, text):
    assert in_math(value, se) == rf"\ensuremath{{{text}}}"


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("a-b 10", "xABOneZero"),
        ("rate 0.5, -2", "xRateZeroPointFiveMinusTwo"),
        ("cell 1, 11", "xCellOneAndOneOne"),
        ("cell 11, 1", "xCellOneOneAndOne"),
        ("σ_w = 1.5²", "xSigmaWOnePointFiveTwo"),
        ("Schrödinger 50 %", "xSchrodingerFiveZero"),
        (r"$\mathrm{tanh}$ & 中", "xMathrmTanhIdeographED"),
    ],
)
def test_a_name_is_made_of_letters_alone(text, name):
    assert macro_name("x", text) == name


def test_two_names_that_become_the_same_macro_are_refused(folder):
    claims = Claims("06-toy", folder=folder / "other")
    claims.record("toy-1", 1.0)
    claims.record("toy-one", 1.0)
    write_atomic(folder / "results/06-toy.json", claims.path.read_bytes())
    with pytest.raises(ValueError, match="06-toy: toy-one and 06-toy: toy-1"):
        export_tex(folder)


def test_published_results_become_legal_macros_and_none_twice(tmp_path):
    output = tmp_path / "numbers.tex"
    result = CliRunner().invoke(main, ["export-tex", "-o", str(output)])
    assert (result.exit_code, result.output.strip()) == (0, str(output))
    text = output.read_text(encoding="utf-8")
    commands = COMMAND.findall(text)
    assert len(commands) == text.count("\\newcommand") == len(dict(commands)) > 100
    assert CliRunner().invoke(main, ["export-tex"]).output == text


def compile_report(folder, preamble, body):
    """Compile a report twice, as references need; gives what LaTeX said the second time."""
    packages = "\\usepackage{graphicx,amsmath}\n\\usepackage[margin=2cm]{geometry}\n"
    report = f"\\documentclass[a4paper]{{article}}\n{packages}{preamble}"
    report += f"\\begin{{document}}\n{body}\n\\end{{document}}\n"
    (folder / "report.tex").write_text(report, encoding="utf-8")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "report.tex"]
    for _ in range(2):
        done = subprocess.run(command, cwd=folder, capture_output=True, timeout=120)
        output = done.stdout.decode("latin-1")
        assert done.returncode == 0, output[-3000:]
    return output


@needs_latex
def test_a_report_of_two_pages_with_three_figures_and_two_numbers_compiles(tmp_path):
    sidecars = published()
    notebooks = {sidecar["notebook"]: sidecar["id"] for sidecar in sidecars}
    figures = list(notebooks.values())[:3]
    macros = export_tex()
    first, second = [name for name, _ in COMMAND.findall(macros) if name.endswith("Error")][:2]
    numbers = [rf"$\{name[:-5]} \pm \{name}$" for name in (first, second)]
    seen = " and ".join(rf"figure~\ref{{{id}}}" for id in figures)
    text = rf"We measured {numbers[0]} and {numbers[1]}: see {seen}."
    pages = [text, cite(figures[0]), r"\clearpage Two more.", cite(figures[1]), cite(figures[2])]
    output = compile_report(tmp_path, macros, "\n\n".join(pages))
    assert "(2 pages" in output
    assert "undefined" not in output
    assert all(f"{id}.pdf" in output.replace("\n", "") for id in figures)


@needs_latex
def test_every_macro_and_every_figure_block_compiles(tmp_path):
    macros = export_tex()
    used = [rf"\{name} $\{name}$" for name, _ in COMMAND.findall(macros)]
    blocks = [cite(sidecar["id"]) + r"\clearpage" for sidecar in published()]
    output = compile_report(tmp_path, macros, "\n\n".join([*used, *blocks]))
    assert "Missing character" not in output
