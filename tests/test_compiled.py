"""The compiled streams: the same bits from every build, and a safe way back where there is none."""

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import numpy as np
import pytest

import initlib
from initlib import compiled
from initlib.streams import in_order, normal_groups, stream_key, uniform_groups
from initlib.truncated import central_groups, central_scale

KEY = stream_key(0, "tests of the compiled streams")
SOURCE = Path(compiled.__file__).with_name("_kernel.c")
STRICT = ["-O3", "-ffp-contract=off", "-fno-fast-math", "-fno-math-errno", "-fno-trapping-math"]
X86 = sysconfig.get_platform() == "linux-x86_64"
COMPILER = shutil.which("cc")

# What a processor without the newer vector units would run; without a compiler, what is installed.
BUILDS = {"installed": None}
if COMPILER:
    BUILDS["one build"] = ["-DCLONES="]
    if X86:
        BUILDS["sse2"] = ["-DCLONES=", "-march=x86-64"]
        if " avx2 " in Path("/proc/cpuinfo").read_text():
            BUILDS["avx2 with fma"] = ["-DCLONES=", "-march=x86-64-v3"]


@pytest.fixture(params=BUILDS)
def build(request, tmp_path, monkeypatch):
    flags = BUILDS[request.param]
    if flags is not None:
        file = tmp_path / "_kernel.so"
        command = [COMPILER, *STRICT, *flags, "-Wno-psabi", "-shared", "-fPIC", str(SOURCE), "-o"]
        subprocess.run([*command, str(file)], check=True)
        monkeypatch.setattr(compiled, "_library", compiled._load(tmp_path))
        monkeypatch.setattr(compiled, "available", compiled._same_bits())
        assert compiled.available


LAWS = {
    "uniform": ((2.0, -1.0), lambda g: uniform_groups(KEY, g, np.float32) * 2 - 1),
    "normal": ((0.5, 0.25), lambda g: normal_groups(KEY, g, np.float32) * np.float32(0.5) + 0.25),
    "truncated": (
        (1.0, 0.0, *central_scale(-2, 2.5)),
        lambda g: central_groups(KEY, g, -2, 2.5),
    ),
}


@pytest.mark.parametrize("law", LAWS)
def test_every_build_gives_the_bits_of_the_reference(law, build):
    parameters, reference = LAWS[law]
    for first_group in (0, 2**28 - 1, 2**55):
        groups = np.arange(first_group, first_group + 4096)
        out = np.empty(4096 * 256, np.float32)
        if compiled.available:
            compiled.fill(law, KEY, first_group * 256, out, parameters)
            assert np.array_equal(out, in_order(reference(groups)))


@pytest.mark.parametrize("law", LAWS)
def test_bounds_are_those_of_numpy_and_memory_around_stays_as_it_is(law, build):
    if not compiled.available:
        pytest.skip("there is no compiled library to ask")
    parameters, reference = LAWS[law]
    start, count = 2**40 * 256 + 77, 512 * 256 - 200
    expected = in_order(reference(np.arange(2**40, 2**40 + 512)))[77 : 77 + count]
    memory = np.empty(count + 8, np.float32)
    for bounds in ((-np.inf, np.inf), (-0.5, np.inf), (-np.inf, 0.5), (-0.0, 0.0), (0.0, 0.25)):
        for shift in (0, 1, 3):  # aligned to 16 bytes or not
            for past_caches in (False, True):
                memory.fill(np.nan)
                out = memory[shift : shift + count]
                compiled.fill(law, KEY, start, out, parameters, bounds, past_caches=past_caches)
                clipped = expected.clip(*map(np.float32, bounds))
                assert np.array_equal(out.view(np.int32), clipped.view(np.int32))
                assert np.isnan(memory[:shift]).all()
                assert np.isnan(memory[shift + count :]).all()


def test_a_library_of_other_bits_is_not_used(tmp_path):
    # A copy of the package with a library whose uniform law is off by one word in the last place.
    package = tmp_path / "initlib"
    shutil.copytree(
        Path(initlib.__file__).parent,
        package,
        ignore=shutil.ignore_patterns("_kernel*.so", "__pycache__"),
    )
    if COMPILER:
        source = SOURCE.read_text().replace("w[i] >> 8", "w[i] >> 9")
        assert source != SOURCE.read_text()
        (tmp_path / "wrong.c").write_text(source)
        command = [COMPILER, *STRICT, "-Wno-psabi", "-shared", "-fPIC", str(tmp_path / "wrong.c")]
        subprocess.run([*command, "-o", str(package / "_kernel.so")], check=True)
    else:
        (package / "_kernel.so").write_text("not a library")
    assert _run_in(tmp_path, "-W", "ignore") == _run_in(tmp_path, "-W", "ignore", kernel="off")


def _run_in(folder: Path, *options: str, kernel: str = "") -> str:
    code = (
        "from initlib import compiled, sampling as s;"
        "print(compiled.available, s.normal(s.stream_key(0), 0, 9).tobytes().hex())"
    )
    environment = {**os.environ, "PYTHONPATH": str(folder), "INITLIB_KERNEL": kernel}
    command = [sys.executable, *options, "-c", code]
    result = subprocess.run(
        command, cwd=folder, env=environment, check=True, capture_output=True, text=True
    )
    assert result.stdout.startswith("False")
    return result.stdout
