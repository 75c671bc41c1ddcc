"""What a user may write as a scheme, read into rules: a pattern and how to fill what it covers."""

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import partial

from torch import Tensor, nn

from initlib import schemes
from initlib.checks import did_you_mean
from initlib.fans import WEIGHT_LAYERS
from initlib.fills import ones_, zeros_
from initlib.gains import gain
from initlib.orthogonal import delta_orthogonal_, orthogonal_
from initlib.sampling import Key
from initlib.structured import dirac_, eye_
from initlib.units import unit_rows_
from initlib.variance import Law

Filler = Law | Callable[..., Tensor]
Scheme = str | Filler
Pattern = str | type[nn.Module] | tuple[type[nn.Module], ...]
Rules = Mapping[Pattern, Scheme | None] | Iterable[tuple[Pattern, Scheme | None]]

_FUNCTIONS = {
    "zeros": zeros_,
    "ones": ones_,
    "eye": eye_,
    "identity": eye_,
    "dirac": lambda tensor, layer: dirac_(tensor, getattr(layer, "groups", 1)),
    "orthogonal": orthogonal_,
    "delta_orthogonal": lambda tensor, gain=1.0, generator=None, layer=None: delta_orthogonal_(
        tensor, gain, generator, groups=getattr(layer, "groups", 1)
    ),
    "unit_rows": unit_rows_,
}
_NAMES = (*schemes.VARIANCE_SCALING, *_FUNCTIONS)
_HE = ("he_uniform", "he_normal", "kaiming_uniform", "kaiming_normal")
_TAKE_A_GAIN = ("orthogonal", "delta_orthogonal", "unit_rows")


@dataclass(frozen=True)
class Rule:
    """A pattern, and the scheme for the parameters that it covers.

    Parameters
    ----------
    pattern : str or type or tuple of types
        A glob on the parameter's name in the model, or the type of its layer.
    name : str
        The scheme, as the audit shows it.
    scheme : Law, callable or None
        A law of `variance_scaling_`, any other way to fill a tensor in place, or None: leave alone.
    needs_matrix : bool
        Whether the scheme is made for two and more dimensions.
    """

    pattern: Pattern
    name: str
    scheme: Filler | None
    needs_matrix: bool

    def matches(self, name: str, layer: nn.Module) -> bool:
        """Return whether the pattern fits a parameter's name, or the type of its layer."""
        if isinstance(self.pattern, str):
            return fnmatchcase(name, self.pattern)
        return isinstance(layer, self.pattern) and "bias" not in name.rpartition(".")[2]

    def fill_(self, tensor: Tensor, key: Key, layer: nn.Module) -> None:
        """Fill in place, giving a callable those of ``generator=`` and ``layer=`` that it takes."""
        if isinstance(self.scheme, Law):
            self.scheme.fill_(tensor, key, layer)
            return
        offered = {"generator": key, "layer": layer}
        takes = {name: offered[name] for name in _arguments(self.scheme, offered)}
        filled = self.scheme(tensor, **takes)
        if isinstance(filled, Tensor) and not _shared(filled, tensor):
            raise TypeError(f"{self.name} returned another tensor: a scheme fills in place")

    def __str__(self) -> str:
        if self.pattern is WEIGHT_LAYERS:
            return self.name
        types = self.pattern if isinstance(self.pattern, tuple) else (self.pattern,)
        pattern = " or ".join(t if isinstance(t, str) else t.__name__ for t in types)
        return f"{pattern}: {self.name}"


def read_rules(scheme: Scheme | Rules, activation: str | Callable | None = None) -> list[Rule]:
    """Read one scheme, or rules, in the forms that `initialize` takes.

    Raises
    ------
    ValueError
        For an unknown name, or an activation that no scheme takes account of.
    TypeError
        For anything that is neither a scheme nor rules.
    """
    factor = None if activation is None else gain(activation)
    if isinstance(scheme, str | Law) or callable(scheme):
        scheme = {WEIGHT_LAYERS: scheme}
    rules = [Rule(pattern, *_read_scheme(one, factor)) for pattern, one in _pairs(scheme)]
    if factor is not None and not any(
        rule.needs_matrix and (isinstance(rule.scheme, Law) or rule.name in _TAKE_A_GAIN)
        for rule in rules
    ):
        raise ValueError(
            f"activation={activation!r} would change nothing: it sets the gain of the named "
            "variance scaling schemes, orthogonal, delta_orthogonal and unit_rows only"
        )
    return rules


def _pairs(rules: Rules) -> list[tuple[Pattern, Scheme | None]]:
    try:
        pairs = [(pattern, one) for pattern, one in getattr(rules, "items", lambda: rules)()]
    except (TypeError, ValueError):
        raise TypeError(
            "a scheme is a name, a callable, or rules as a dict or a list of pairs "
            f"(pattern, scheme); got {rules!r}"
        ) from None
    for pattern, _ in pairs:
        types = pattern if isinstance(pattern, tuple) else (pattern,)
        is_types = all(isinstance(t, type) and issubclass(t, nn.Module) for t in types)
        if not isinstance(pattern, str) and not is_types:
            raise TypeError(
                "a pattern is a glob such as 'encoder.*' or a type of layer such as nn.Linear, "
                f"got {pattern!r}"
            )
    return pairs


def _read_scheme(scheme: Scheme | None, factor: float | None) -> tuple[str, Filler | None, bool]:
    """Return the last three fields of the rule."""
    if scheme is None:
        return "left alone", None, False
    if isinstance(scheme, Law):
        name, law = "variance_scaling({:g}, {}, {})".format(*scheme), scheme
        return name, law if factor is None else law.scaled(factor), True
    name = scheme if isinstance(scheme, str) else _own_name(scheme)
    if name in schemes.VARIANCE_SCALING:
        law = schemes.VARIANCE_SCALING[name]
        if factor is not None:
            law = (law._replace(scale=1.0) if name in _HE else law).scaled(factor)
        return name, law, True
    if name in _FUNCTIONS:
        takes_gain = factor is not None and name in _TAKE_A_GAIN
        function = partial(_FUNCTIONS[name], gain=factor) if takes_gain else _FUNCTIONS[name]
        return name, function, name not in ("zeros", "ones")
    if callable(scheme):
        return _description(scheme), scheme, False
    raise ValueError(
        f"unknown scheme {scheme!r}{did_you_mean(scheme, _NAMES)}; the names are "
        f"{', '.join(_NAMES)}; or give a callable, such as functools.partial(normal_, std=0.02)"
    )


def _arguments(function: Callable, names: Iterable[str]) -> list[str]:
    """Select the names that the function takes as keywords."""
    try:
        parameters = inspect.signature(function).parameters
    except ValueError:  # a function compiled into torch does not tell
        return []
    takes_all = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    return [name for name in names if takes_all or name in parameters]


def _shared(a: Tensor, b: Tensor) -> bool:
    return a.untyped_storage().data_ptr() == b.untyped_storage().data_ptr()


def _own_name(function: Callable) -> str | None:
    """Return the name of the scheme, if the function is one of this package's."""
    for name in _NAMES:
        if function is _FUNCTIONS.get(name, getattr(schemes, f"{name}_", None)):
            return name
    return None


def _description(function: Callable) -> str:
    if isinstance(function, partial):
        words = [*map(repr, function.args), *(f"{k}={v!r}" for k, v in function.keywords.items())]
        return f"{_description(function.func)}({', '.join(words)})"
    return getattr(function, "__name__", type(function).__name__)
