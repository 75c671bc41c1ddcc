"""The repository is found from anywhere, and a file is written whole or not at all."""

import pytest

from initlib.lab import paths


def make_root(folder, name="initlib"):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "pyproject.toml").write_text(f'[project]\nname = "{name}"\n')
    return folder


def test_folders_are_inside_the_root():
    for folder in (paths.NOTEBOOKS, paths.FIGURES, paths.DATA, paths.RUNS):
        assert folder.parent == paths.ROOT


def test_root_is_found_upward_from_a_subfolder(tmp_path, monkeypatch):
    monkeypatch.delenv("INITLIB_ROOT", raising=False)
    root = make_root(tmp_path / "clone")
    below = root / "notebooks" / "deep"
    below.mkdir(parents=True)
    assert paths.find_root(below) == root


@pytest.mark.parametrize("content", ['[project]\nname = "other"\n', "not = [toml", "\x00"])
def test_another_project_is_passed_over(tmp_path, monkeypatch, content):
    monkeypatch.delenv("INITLIB_ROOT", raising=False)
    root = make_root(tmp_path / "clone")
    inner = root / "vendored"
    inner.mkdir()
    (inner / "pyproject.toml").write_text(content)
    assert paths.find_root(inner) == root


def test_outside_any_clone_the_package_decides(tmp_path, monkeypatch):
    monkeypatch.delenv("INITLIB_ROOT", raising=False)
    assert paths.find_root(tmp_path) == paths.find_root(paths.__file__)


def test_environment_wins_and_is_checked(tmp_path, monkeypatch):
    monkeypatch.setenv("INITLIB_ROOT", str(make_root(tmp_path / "named")))
    assert paths.find_root() == tmp_path / "named"
    monkeypatch.setenv("INITLIB_ROOT", str(tmp_path))
    with pytest.raises(FileNotFoundError, match="INITLIB_ROOT"):
        paths.find_root()


def test_run_dir_is_the_runs_or_the_interactive_one(tmp_path, monkeypatch):
    monkeypatch.delenv("INITLIB_RUN_DIR", raising=False)
    assert paths.run_dir() == paths.RUNS / "interactive"
    monkeypatch.setenv("INITLIB_RUN_DIR", str(tmp_path))
    assert paths.run_dir() == tmp_path


def test_staged_files_appear_together(tmp_path):
    folder = tmp_path / "new" / "folder"
    with paths.staged(folder) as scratch:
        for name in ("a", "b"):
            (scratch / name).write_text(name)
        assert not (folder / "a").exists()
    assert sorted(path.name for path in folder.iterdir()) == ["a", "b"]


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_a_failure_leaves_the_folder_as_it_was(tmp_path, error):
    paths.write_atomic(tmp_path / "a", "old")

    def fail():
        with paths.staged(tmp_path) as scratch:
            (scratch / "a").write_text("new")
            raise error

    with pytest.raises(error):
        fail()
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("a", "old")]


@pytest.mark.parametrize("content", ["text é\nline", b"\x00raw\r\n"])
def test_write_atomic_writes_what_it_was_given(tmp_path, content):
    path = paths.write_atomic(tmp_path / "file", content)
    raw = content.encode() if isinstance(content, str) else content
    assert path.read_bytes() == raw
