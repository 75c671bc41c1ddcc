"""The peers that are there: each is optional, and the rows of one that is not are left out."""

import importlib
import os
from collections.abc import Callable
from types import ModuleType

from benchmarks.timing import Call

os.environ.setdefault("KERAS_BACKEND", "torch")
os.environ.setdefault("JAX_PLATFORMS", "cpu")

NAMES = ("torch", "jax", "keras", "lsuv", "scipy", "papermill")
missing: dict[str, str] = {}


def peer(name: str) -> ModuleType | None:
    """Import a peer, or note why it could not be."""
    try:
        return importlib.import_module(name)
    except Exception as error:  # whatever an installation gone wrong may raise
        missing[name] = f"{type(error).__name__}: {error}".splitlines()[0]
        return None


def jax_call(name: str, shape: tuple[int, ...], *arguments: object) -> dict[str, Call]:
    """Return an initializer of jax, compiled for a shape, as a candidate; none without jax."""
    jax = peer("jax")
    if jax is None:
        return {}
    initializer: Callable = getattr(jax.nn.initializers, name)(*arguments)
    key = jax.random.key(0)
    compiled = jax.jit(lambda key: initializer(key, shape, "float32"))
    return {"jax": lambda: compiled(key).block_until_ready()}


def keras_call(name: str, shape: tuple[int, ...], **arguments: object) -> dict[str, Call]:
    """Return an initializer of keras, on torch, as a candidate; none without keras."""
    keras = peer("keras")
    if keras is None:
        return {}
    initializer = getattr(keras.initializers, name)(**arguments)
    return {"keras": lambda: initializer(shape)}
