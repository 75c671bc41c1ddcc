"""The environment of kernels: what those of a batch have in common, and what is a run's own."""

from __future__ import annotations

import os
from pathlib import Path

from initlib.lab.runs.plan import Run
from initlib.lab.runs.settings import Settings

# Each is read by one of the libraries that would otherwise take every core.
THREAD_LIMITS = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)


def kernel_environment(run: Run, scratch: Path, settings: Settings) -> dict[str, str]:
    """Return the environment of a run's kernel.

    Parameters
    ----------
    run : Run
        Gives the key.
    scratch : Path
        Where the kernel puts results and figures.
    settings : Settings
        Gives the root and the number of threads.

    Returns
    -------
    dict of str to str
        This process's environment with those added.
    """
    own = {"INITLIB_RUN_DIR": str(scratch), "INITLIB_RUN_KEY": run.key}
    return shared_environment(settings) | own


def shared_environment(settings: Settings) -> dict[str, str]:
    """Return what the environments of a batch's kernels have in common; arguments as above."""
    return {
        **os.environ,
        **dict.fromkeys(THREAD_LIMITS, str(settings.threads)),
        "INITLIB_ROOT": str(settings.root),
        # Otherwise a backend that the caller has set would keep figures out of the notebook.
        "MPLBACKEND": "module://matplotlib_inline.backend_inline",
    }
