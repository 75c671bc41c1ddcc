"""A scheme by name, or rules, onto a whole model."""

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from initlib.audit import KURTOSIS, Audit, AuditRow, sample_std, z_score
from initlib.fans import WEIGHT_LAYERS, blocks, fans
from initlib.fills import ones_, zeros_
from initlib.parameters import ModelParameter, local_name, model_parameters
from initlib.rules import Rule, Rules, Scheme, read_rules
from initlib.sampling import Generator, Key, check_target, stream_key
from initlib.variance import Law

_DEFAULTS = {"bias": Rule("*", "zeros", zeros_, False), "norm": Rule("*", "ones", ones_, False)}

_Cover = tuple[Rule, str]  # a rule that covers a parameter, and the name that it matched


def initialize(
    model: nn.Module,
    scheme: Scheme | Rules,
    seed: Generator = 0,
    activation: str | Callable | None = None,
) -> Audit:
    """Fill the parameters of a model in place, and return the audit of what was done.

    The values of a parameter depend on the seed, its name in the model and the index alone: other
    layers may come, go or move. Matrices packed into one parameter, such as q, k and v of attention
    or the gates of an LSTM, are filled one by one, each by its own law. Biases become zero, and
    norm layers the identity (weight one, bias zero). Buffers stay as they are.

    Parameters
    ----------
    model : Module
        Its frozen parameters are filled too; those on the meta device, parametrized ones (as by
        weight_norm), integers and empty ones are left and listed.
    scheme : str, Law, callable or rules
        *One scheme* fills the weights of all linear, bilinear, convolution, recurrent, attention
        and embedding layers. It is a name (``"he_normal"``, ``"xavier_uniform"``, ``"orthogonal"``,
        ... : a function of this package without its underscore), a `Law`, or a callable that fills
        a tensor in place, such as ``functools.partial(normal_, std=0.02)``. If it has arguments of
        these names, it is given ``generator``, a key that every function of this package takes, and
        ``layer``.

        *Rules* are a dict, or a list of pairs, from a pattern to a scheme, or to None: leave alone.
        A pattern is a type of layer or a glob on the parameter's name. The first rule that covers a
        parameter fills it. A rule covers the weights that it matches; only if it matches none, as
        ``"*.bias"`` does, the biases and norm parameters.
    seed : int, torch.Generator, numpy.random.Generator or None
        As ``generator`` elsewhere.
    activation : str or callable, optional
        Sets the gain to ``gain(activation)``: it takes the place of the sqrt(2) in the he_ and
        kaiming_ schemes, and multiplies the weights in the other variance scaling schemes,
        orthogonal, delta_orthogonal and unit_rows. Of a callable nothing is known: it gets no gain.

    Returns
    -------
    Audit
        What was filled, a row each, with target and measured standard deviation; ``untouched``,
        the parameters that were not, with the reason.

    Raises
    ------
    ValueError
        For an unknown name, a scheme that does not fit a shape, or a lazy layer that has not seen
        data. The model is then as it was.
    TypeError
        If an argument is of the wrong type.

    Warns
    -----
    UserWarning
        If a rule fills nothing: most often its pattern is misspelt.

    Notes
    -----
    A tied parameter is filled once; of its names, the first in alphabetical order is its key, and
    the layer of that name gives the fans, unless a rule matches another.

    Examples
    --------
    >>> import torch
    >>> import initlib as init
    >>> model = torch.nn.Sequential(torch.nn.Linear(784, 300), torch.nn.Linear(300, 10))
    >>> audit = init.initialize(model, {"1.*": "xavier_normal", torch.nn.Linear: "he_normal"})
    >>> [f"{row.parameter}: {row.scheme}" for row in audit.rows]
    ['0.weight: he_normal', '0.bias: zeros', '1.weight: xavier_normal', '1.bias: zeros']
    >>> audit.untouched
    ()
    """
    if not isinstance(model, nn.Module):
        raise TypeError(f"model must be a torch.nn.Module, not {type(model).__name__}")
    rules = read_rules(scheme, activation)
    parameters = model_parameters(model)
    covers = _coverage(rules, parameters)
    root = stream_key(seed)
    tasks, untouched = [], []
    for parameter in parameters:
        reason = _untouched(parameter, covers[parameter.name])
        if reason:
            untouched.append((parameter.name, reason))
        else:
            tasks += _tasks(parameter, covers[parameter.name], stream_key(root, parameter.name))
    for task in tasks:
        _rehearse(task)
    first = [covered[0][0] for covered in covers.values() if covered]
    unused = tuple(str(rule) for rule in rules if rule not in first)
    if unused:
        warnings.warn(f"rules that fill nothing: {'; '.join(unused)}", stacklevel=2)
    with torch.no_grad():
        _fill(tasks)
    return Audit(tuple(map(_audited, tasks)), tuple(untouched), unused)


@dataclass(frozen=True)
class _Task:
    """One matrix or vector to fill."""

    name: str
    tensor: Tensor
    layer: nn.Module
    rule: Rule
    key: Key
    note: str


def _coverage(rules: list[Rule], parameters: list[ModelParameter]) -> dict[str, list[_Cover]]:
    """Find, for each parameter by name, the rules that cover it."""
    covers: dict[str, list[_Cover]] = {parameter.name: [] for parameter in parameters}
    for rule in rules:
        weights, others = [], []
        for parameter in parameters:
            names = [n for n, layer in sorted(parameter.owners.items()) if rule.matches(n, layer)]
            if names and parameter.role in _DEFAULTS:
                others.append((parameter.name, names[0]))
            elif names and (parameter.tensor.ndim > 1 or not rule.needs_matrix):
                weights.append((parameter.name, names[0]))
        for name, matched in weights or others:
            covers[name].append((rule, matched))
    return covers


def _untouched(parameter: ModelParameter, covers: list[_Cover]) -> str:
    """Say why a parameter is left alone; nothing if it is not."""
    if parameter.obstacle:
        return parameter.obstacle
    if covers:
        rule = covers[0][0]
        return "" if rule.scheme else f"by the rule {rule}"
    if parameter.role in _DEFAULTS:
        return ""
    if parameter.role == "weight":
        return "no rule covers it"
    layer = type(parameter.owners[parameter.name]).__name__
    return f"its role in {layer} is not known: add a rule for it"


def _tasks(parameter: ModelParameter, covers: list[_Cover], key: Key) -> list[_Task]:
    """Split a parameter into its matrices, each with a key of its own."""
    rule, name = covers[0] if covers else (_DEFAULTS[parameter.role], parameter.name)
    layer, tensor = parameter.owners[name], parameter.tensor
    note = _note(parameter, rule, layer, covers[1:])
    labels = blocks(layer, local_name(name)) if tensor.ndim > 1 else ()
    if not labels:
        return [_Task(parameter.name, tensor, layer, rule, key, note)]
    return [
        _Task(f"{parameter.name}[{label}]", part, layer, rule, stream_key(key, label), note)
        for label, part in zip(labels, tensor.chunk(len(labels)), strict=True)
    ]


def _note(parameter: ModelParameter, rule: Rule, layer: nn.Module, further: list[_Cover]) -> str:
    notes = [f"tied to {name}" for name in sorted(parameter.owners)[1:]]
    if isinstance(rule.scheme, Law) and not isinstance(layer, WEIGHT_LAYERS):
        notes.append("fans by its shape")
    if parameter.frozen:
        notes.append("frozen")
    return "; ".join(notes + [f"also covered by {other}" for other, _ in further])


def _rehearse(task: _Task) -> None:
    """Raise what the filling would raise, as far as that can be known, while the model is whole."""
    with _named(task):
        check_target(task.tensor)
        if isinstance(task.rule.scheme, Law):
            task.rule.fill_(torch.empty_like(task.tensor, device="meta"), task.key, task.layer)


def _fill(tasks: list[_Task]) -> None:
    """Fill by callables first, which may fail and so need a copy; the laws have been rehearsed."""
    laws = [task for task in tasks if isinstance(task.rule.scheme, Law)]
    others = [task for task in tasks if not isinstance(task.rule.scheme, Law)]
    copies: list[Tensor] = []
    try:
        for task in others:
            copies.append(task.tensor.clone())
            with _named(task):
                task.rule.fill_(task.tensor, task.key, task.layer)
    except BaseException:
        for task, copy in zip(others, copies, strict=False):
            task.tensor.copy_(copy)
        raise
    for task in laws:
        task.rule.fill_(task.tensor, task.key, task.layer)


@contextmanager
def _named(task: _Task) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        error.add_note(f"while filling {task.name} of {type(task.layer).__name__} by {task.rule}")
        raise


def _audited(task: _Task) -> AuditRow:
    scheme, tensor = task.rule.scheme, task.tensor
    try:
        fan_in, fan_out = fans(tensor, task.layer)
    except ValueError:
        fan_in = fan_out = None
    measured, target, z = sample_std(tensor), None, None
    if isinstance(scheme, Law):
        target = scheme.std((fan_in, fan_out))
        z = z_score(measured, target, tensor.numel(), KURTOSIS[scheme.distribution])
    elif scheme in (zeros_, ones_):
        target = 0.0
    return AuditRow(
        parameter=task.name,
        layer=type(task.layer).__name__,
        shape=tuple(tensor.shape),
        fan_in=fan_in,
        fan_out=fan_out,
        scheme=task.rule.name,
        target_std=target,
        measured_std=measured,
        z=z,
        note=task.note,
    )
