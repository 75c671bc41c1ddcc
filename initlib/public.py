"""The public names, imported: `initlib` does so when it is asked for the first of them."""

# ruff: noqa: F401

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
