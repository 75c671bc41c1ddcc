"""What sets initlib up: the same dependencies for pip, for conda and in the lock; a true README."""

import ast
import re
import subprocess
import sys
import tomllib

import pytest
import yaml
from packaging.requirements import Requirement

import initlib
from initlib.lab.paths import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
GROUPS = [PROJECT["dependencies"], *PROJECT["optional-dependencies"].values()]
REQUIREMENTS = [Requirement(text) for group in GROUPS for text in group]
CONDA_NAMES = {"torch": "pytorch-cpu"}


def test_conda_environment_has_the_dependencies_of_pyproject():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    assert environment["channels"] == ["conda-forge", "nodefaults"]
    *packages, pip = environment["dependencies"]
    assert pip == {"pip": ["-e ."]}
    expected = {f"{CONDA_NAMES.get(r.name, r.name)}{r.specifier}" for r in REQUIREMENTS}
    assert set(packages) == expected | {"pip", f"python{PROJECT['requires-python']}"}


def test_lock_pins_what_pyproject_asks_for():
    lines = (ROOT / "requirements.lock").read_text().splitlines()
    pins = dict(line.split("==") for line in lines if not line.startswith("#"))
    assert pins["torch"] == "2.13.0"
    for requirement in REQUIREMENTS:
        assert requirement.specifier.contains(pins[requirement.name])


def test_importing_initlib_needs_numpy_and_torch_only():
    code = (
        "import sys, initlib; "
        "print(*{m.split('.')[0] for m in sys.modules} & "
        "{'scipy', 'pandas', 'matplotlib', 'sympy', 'papermill', 'click', 'rich', 'IPython'}); "
        "print(*(m for m in sys.modules if m.startswith('initlib.lab')))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    )
    assert result.stdout.split() == []


def test_nothing_is_pickled():
    """A pickle runs code when it is read; numbers and text are kept in files that can't."""
    for path in (ROOT / "initlib").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in getattr(node, "names", []) if hasattr(alias, "name")]
            used = {*names, getattr(node, "module", None)}
            assert not used & {"pickle", "shelve", "marshal", "dill", "cloudpickle", "joblib"}, path
            if isinstance(node, ast.Call):
                call = ast.unparse(node)
                assert not call.startswith(("torch.load(", "torch.save(")), path
                assert not call.startswith("np.load(") or "allow_pickle=False" in call, path


def test_jupyterlab_is_for_this_machine_alone_and_asks_for_its_token():
    command = re.search(r"^\t.*jupyter lab .*", (ROOT / "Makefile").read_text(), re.M)[0]
    assert "--ip=127.0.0.1" in command
    assert not re.search(r"token|password|allow|config", command)


def test_versions_agree():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    changelog = (ROOT / "CHANGELOG.md").read_text()
    assert initlib.__version__ == PROJECT["version"] == citation["version"]
    assert f"## {PROJECT['version']}" in changelog


def test_ci_runs_the_readme_commands():
    readme = (ROOT / "README.md").read_text()
    workflow = (ROOT / ".github/workflows/ci.yml").read_text()
    assert "make test" in (ROOT / ".ci/run").read_text()
    for command in ("make reproduce", "make test"):
        assert command in readme
        assert command in workflow


def test_make_targets_of_the_readme_exist():
    readme = (ROOT / "README.md").read_text()
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"(?:^|`)make ([a-z]+)", readme, re.MULTILINE))
    assert {"reproduce", "quick", "test", "lab", "help"} <= targets
    assert all(re.search(rf"^{target}:", makefile, re.MULTILINE) for target in targets)


def test_readme_is_short():
    readme = (ROOT / "README.md").read_text()
    assert len(readme.splitlines()) <= 200
    assert readme.count("[![") <= 3


@pytest.mark.parametrize(
    "block", re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.S)
)
def test_python_of_the_readme_runs(block):
    exec(compile(block, "README.md", "exec"), {})


def test_files_the_readme_points_to_exist():
    readme = (ROOT / "README.md").read_text()
    targets = re.findall(r"\]\((?!https?:|#)([^)]+)\)", readme)
    assert targets
    missing = [target for target in targets if not (ROOT / target.split("#")[0]).exists()]
    assert not missing
