"""The parameters of a notebook: read from its parameters cell, checked before anything runs."""

from __future__ import annotations

import ast
import json
import math
from dataclasses import dataclass

Value = int | float | str | bool | list[int] | list[float] | list[str]

SCALARS = {"int": int, "float": float, "str": str, "bool": bool}
KINDS = (*SCALARS, "list[int]", "list[float]", "list[str]")
GRAMMAR = f"name: {'|'.join(KINDS)} = literal  # help (unit, range)"


class PlanError(ValueError):
    """What was asked for can't be run; the text says why and what to try."""


@dataclass(frozen=True)
class Parameter:
    """One line of a parameters cell."""

    name: str
    kind: str
    default: Value
    help: str = ""


def read_parameters(source: str) -> dict[str, Parameter]:
    """Read a parameters cell.

    Every statement is ``name: type = literal  # help``; nothing is executed.

    Parameters
    ----------
    source : str
        The code of the cell.

    Returns
    -------
    dict of str to Parameter
        The parameters, in the order of the cell.

    Raises
    ------
    PlanError
        When a line does not follow the grammar.

    Examples
    --------
    >>> read_parameters("lr: float = 0.1  # step size")["lr"]
    Parameter(name='lr', kind='float', default=0.1, help='step size')
    """
    try:
        statements = ast.parse(source).body
    except SyntaxError as error:
        raise PlanError(f"the parameters cell is not Python: {error}") from None
    lines = source.splitlines()
    parameters: dict[str, Parameter] = {}
    for statement in statements:
        parameter = _read_line(statement, lines[statement.lineno - 1])
        if parameter.name in parameters:
            raise PlanError(f"the parameters cell sets {parameter.name!r} twice")
        parameters[parameter.name] = parameter
    return parameters


def _read_line(statement: ast.stmt, line: str) -> Parameter:
    refused = PlanError(f"parameters cell: {line.strip()!r} is not of the form\n    {GRAMMAR}")
    if not isinstance(statement, ast.AnnAssign) or statement.value is None:
        raise refused
    if not isinstance(statement.target, ast.Name) or statement.lineno != statement.end_lineno:
        raise refused
    kind = ast.unparse(statement.annotation)
    try:
        default = ast.literal_eval(statement.value)
    except ValueError:
        raise refused from None
    if kind not in KINDS or not _is_exactly(kind, default):
        raise refused
    # ast counts columns in bytes.
    comment = line.encode()[statement.end_col_offset :].decode().strip()
    return Parameter(statement.target.id, kind, default, comment.removeprefix("#").strip())


def _is_exactly(kind: str, value: object) -> bool:
    if kind.startswith("list["):
        return type(value) is list and all(_is_exactly(kind[5:-1], item) for item in value)
    return type(value) is SCALARS[kind] and (kind != "float" or math.isfinite(value))


def coerce(parameter: Parameter, value: object) -> Value:
    """Turn a value, or the text of one, into the type of a parameter.

    Parameters
    ----------
    parameter : Parameter
        The parameter it is for.
    value : object
        A JSON value, or text from a command line: ``1e-3``, ``true``, ``[16, 64]`` or ``16,64``.

    Returns
    -------
    int, float, str, bool or list
        The value in the parameter's type; a whole number becomes a float where one is asked for.

    Raises
    ------
    PlanError
        When nothing of that type is meant by the value.

    Examples
    --------
    >>> coerce(Parameter("lr", "float", 0.1), "1e-3")
    0.001
    """
    try:
        if parameter.kind.startswith("list["):
            return [_scalar(parameter.kind[5:-1], item) for item in _items(value)]
        return _scalar(parameter.kind, value)
    except (LookupError, OverflowError, TypeError, ValueError):
        raise PlanError(
            f"parameter {parameter.name!r} is of type {parameter.kind}, "
            f"such as {json.dumps(parameter.default)}; got {value!r}"
        ) from None


def coerce_grid(parameter: Parameter, text: str) -> list[Value]:
    """Split the text of a grid, ``a,b,c`` (of lists: ``[a],[b,c]``), into values of a parameter.

    Parameters
    ----------
    parameter : Parameter
        The parameter it is for.
    text : str
        The values, with commas between them.

    Returns
    -------
    list
        One value for each run.

    Raises
    ------
    PlanError
        When one of the values is not of the parameter's type.

    Examples
    --------
    >>> coerce_grid(Parameter("depth", "int", 22), "22,30")
    [22, 30]
    """
    parts: list[object] = text.split(",")
    if parameter.kind.startswith("list["):
        try:
            parts = json.loads(f"[{text}]")
        except json.JSONDecodeError:
            parts = [text]
        if not all(isinstance(part, list) for part in parts):
            raise PlanError(
                f"a grid over {parameter.name!r} is one of lists, such as [1,2],[3]; got {text!r}"
            )
    return [coerce(parameter, part) for part in parts]


def _items(value: object) -> list:
    if isinstance(value, str):
        return json.loads(value) if value.lstrip().startswith("[") else value.split(",")
    if not isinstance(value, list):
        raise TypeError
    return value


def _scalar(kind: str, value: object) -> int | float | str | bool:
    if isinstance(value, str) and kind != "str":
        text = value.strip()
        value = {"true": True, "false": False}[text.lower()] if kind == "bool" else text
        value = SCALARS[kind](value)
    elif kind == "float" and type(value) is int:
        value = float(value)
    if not _is_exactly(kind, value):
        raise TypeError
    return value
