"""Parameter initialization for neural networks: every initializer does what its formula says.

``import initlib as init`` stands in for ``import torch.nn.init as init``; `initlib.compat` lists
what differs on purpose. The reading order of the modules:

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

from importlib.metadata import version

from initlib.activations import ACTIVATIONS, Activation, activation
from initlib.adaptive import lsuv_
from initlib.adaptive_report import LsuvReport, LsuvRow
from initlib.apply import initialize
from initlib.audit import Audit, AuditRow
from initlib.callables import as_activation
from initlib.compat import (
    constant,
    dirac,
    eye,
    kaiming_normal,
    kaiming_uniform,
    normal,
    orthogonal,
    sparse,
    uniform,
    xavier_normal,
    xavier_uniform,
)
from initlib.critical import critical_line
from initlib.fans import Fans, fans
from initlib.fills import (
    constant_,
    normal_,
    ones_,
    trunc_normal_,
    truncated_std,
    uniform_,
    zeros_,
)
from initlib.finite_width import LogLength, length_second_moment, log_length, width_beta
from initlib.gains import GainReport, calculate_gain, gain, gain_report, gain_table
from initlib.jacobian import SquaredSingularValues, derivative_moment, jacobian_moments
from initlib.jacobian_law import jacobian_law
from initlib.jacobian_spectrum import jacobian_spectrum
from initlib.meanfield import MeanField
from initlib.moments import Moments, moments
from initlib.orthogonal import delta_orthogonal_, orthogonal_
from initlib.phase import PhaseDiagram, phase_diagram
from initlib.probe import probe
from initlib.probe_pass import Probe
from initlib.probe_report import ProbeRow, Signals
from initlib.sampling import stream_key
from initlib.schemes import (
    glorot_normal_,
    glorot_uniform_,
    he_normal_,
    he_uniform_,
    kaiming_normal_,
    kaiming_uniform_,
    lecun_normal_,
    lecun_uniform_,
    normalized_normal_,
    normalized_uniform_,
    standard_uniform_,
    xavier_normal_,
    xavier_uniform_,
)
from initlib.spectra import (
    SpectralLaw,
    marchenko_pastur,
    product_law,
    product_moment,
    product_norm,
)
from initlib.structured import dirac_, eye_, identity_
from initlib.units import sparse_, unit_rows_
from initlib.variance import Law, variance_scaling_

__version__ = version("initlib")

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
