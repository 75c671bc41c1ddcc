"""Parameter initialization for neural networks: every initializer does what its formula says.

``import initlib as init`` stands in for ``import torch.nn.init as init``; `initlib.compat` lists
what differs on purpose. `public` imports all of it. The
reading order of the modules:

1. random values: `streams` defines the bits, `compiled` is their fast form, `truncated` the cut
   normal law, `sampling` fills a target (`targets`) from them;
2. fans and laws: `fans`, `fills` (no fans needed), `variance` (the one law), `schemes` (its names),
   `structured` (identities), `units` (sparse, unit rows), `orthogonal` on `haar`;
3. activations: `activations`, `callables`, `quadrature`, `closed_forms`, `moments`, `gains`;
4. whole models: `parameters`, `rules`, `apply`, `audit` (a `tables`);
5. whole models on data: `rehearsal` runs them, `spread` measures, `products` are what is measured,
   `adaptive` scales them (`adaptive_pass`, `adaptive_report`);
6. wide networks in theory: `responses` and `correlation` (by `hermite` series) say what a layer
   does, `settling` (by `roots`) where many lead, `meanfield` is both; `phase` and `critical` are
   its fast forms for many scales, by `lengths` (in `log_tables`); `jacobian`, `jacobian_law` and
   `spectra` are about singular values; and narrow ones: `finite_width`.
"""

import sys
from importlib import import_module
from importlib.metadata import version
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from initlib.public import *  # noqa: F403

__version__ = version("initlib")

# ruff: noqa: F405
__all__ = [
    "ACTIVATIONS",
    "Activation",
    "Audit",
    "AuditRow",
    "Fans",
    "GainReport",
    "Law",
    "LogLength",
    "LsuvReport",
    "LsuvRow",
    "MeanField",
    "Moments",
    "PhaseDiagram",
    "Probe",
    "ProbeRow",
    "Signals",
    "SpectralLaw",
    "SquaredSingularValues",
    "activation",
    "as_activation",
    "calculate_gain",
    "constant",
    "constant_",
    "critical_line",
    "delta_orthogonal_",
    "derivative_moment",
    "dirac",
    "dirac_",
    "eye",
    "eye_",
    "fans",
    "gain",
    "gain_report",
    "gain_table",
    "glorot_normal_",
    "glorot_uniform_",
    "he_normal_",
    "he_uniform_",
    "identity_",
    "initialize",
    "jacobian_law",
    "jacobian_moments",
    "jacobian_spectrum",
    "kaiming_normal",
    "kaiming_normal_",
    "kaiming_uniform",
    "kaiming_uniform_",
    "lecun_normal_",
    "lecun_uniform_",
    "length_second_moment",
    "log_length",
    "lsuv_",
    "marchenko_pastur",
    "moments",
    "normal",
    "normal_",
    "normalized_normal_",
    "normalized_uniform_",
    "ones_",
    "orthogonal",
    "orthogonal_",
    "phase_diagram",
    "probe",
    "product_law",
    "product_moment",
    "product_norm",
    "sparse",
    "sparse_",
    "standard_uniform_",
    "stream_key",
    "trunc_normal_",
    "truncated_std",
    "uniform",
    "uniform_",
    "unit_rows_",
    "variance_scaling_",
    "width_beta",
    "xavier_normal",
    "xavier_normal_",
    "xavier_uniform",
    "xavier_uniform_",
    "zeros_",
]


class _Package(ModuleType):
    """Imports the public names when the first of them is asked for.

    So what only plans runs or lists results, like the command line, does not wait for torch.
    """

    def __getattr__(self, name: str) -> Any:
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        public = import_module("initlib.public")
        vars(self).update({known: getattr(public, known) for known in __all__})
        return vars(self)[name]

    def __setattr__(self, name: str, value: Any) -> None:
        # Some functions have the name of their module, whose import must not hide them.
        if not (name in __all__ and isinstance(value, ModuleType)):
            super().__setattr__(name, value)

    def __dir__(self) -> list[str]:
        return sorted({*vars(self), *__all__})


sys.modules[__name__].__class__ = _Package
