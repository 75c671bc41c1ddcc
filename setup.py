"""Build the optional compiled streams; everything else is in pyproject.toml."""

from setuptools import Extension, setup

# Contraction and fast-math would change the bits that streams.py defines.
STRICT = ["-O3", "-ffp-contract=off", "-fno-fast-math", "-fno-math-errno", "-fno-trapping-math"]

setup(
    ext_modules=[
        Extension(
            "initlib._kernel",
            ["initlib/_kernel.c"],
            extra_compile_args=[*STRICT, "-Wno-psabi"],
            optional=True,
        )
    ]
)
