"""A reader opens each notebook in JupyterLab and runs all of it, twice, without an error."""

import urllib.parse

import psutil
from browser import Browser, needs_browser
from lab_driver import Lab, open_notebook, run_all

from initlib.lab.paths import NOTEBOOKS
from initlib.lab.runs.notebook import find_notebooks

SMALL = ["01-variance-propagation"]


def pytest_generate_tests(metafunc):
    if "name" in metafunc.fixturenames:
        every = metafunc.config.getoption("every_notebook")
        metafunc.parametrize("name", find_notebooks(NOTEBOOKS) if every else SMALL)


@needs_browser
def test_run_all_and_restart_and_run_all_end_without_an_error(tmp_path, name):
    with Lab(tmp_path / "lab", [name]) as lab, Browser(tmp_path / "browser") as browser:
        browser.resize(1400, 900)
        opened = open_notebook(browser, lab, name)
        assert set(opened["counts"]) == {None}
        for restart in (False, True):
            state = run_all(browser, restart=restart)
            assert (state["errors"], state["stderr"], state["dialogs"]) == ([], [], [])
            assert state["counts"] == list(range(1, len(state["counts"]) + 1))
        assert browser.complaints == []


def test_the_server_is_for_this_machine_and_for_those_who_have_its_token(tmp_path):
    with Lab(tmp_path / "lab") as lab:
        assert len(lab.token) >= 32
        for token, status in (("", 403), ("0" * len(lab.token), 403), (lab.token, 200)):
            assert lab.status("api/contents", token) == status
        sockets = psutil.Process(lab.process.pid).net_connections("inet")
        listening = {s.laddr.ip for s in sockets if s.status == psutil.CONN_LISTEN}
        assert listening == {"127.0.0.1"}
        assert urllib.parse.urlsplit(lab.url("")).hostname == "127.0.0.1"
