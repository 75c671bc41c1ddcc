"""JupyterLab as a reader of the notebooks uses it: ``make lab``, a browser, the Run menu."""

import json
import os
import re
import shlex
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

from initlib.lab.paths import NOTEBOOKS, ROOT

MENU = "[...document.querySelectorAll('.lm-MenuBar-itemLabel, .lm-Menu-itemLabel')]"
CENTRE = "{{const b = {}.getBoundingClientRect(); return [b.x + b.width / 2, b.y + b.height / 2]}}"
PANEL = "jupyterapp.shell.currentWidget"
# What the cells of the open notebook hold, whether or not they are in view.
STATE = f"""(() => {{
  const panel = {PANEL}, cells = [...panel.content.model.cells].filter(c => c.type == "code");
  const outputs = cells.flatMap(c => c.sharedModel.outputs);
  return {{
    counts: cells.map(c => c.executionCount),
    errors: outputs.filter(o => o.output_type == "error").map(o => `${{o.ename}}: ${{o.evalue}}`),
    stderr: outputs.filter(o => o.name == "stderr").map(o => String(o.text)),
    kernel: panel.sessionContext.session?.kernel?.status,
    ready: panel.context.isReady && panel.sessionContext.isReady,
    dialogs: [...document.querySelectorAll(".jp-Dialog")].map(d => d.innerText),
  }};
}})()"""


def lab_command():
    """Read from the Makefile how ``make lab`` starts the server, as a list of words."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    [recipe] = re.findall(r"^lab:.*\n((?:\t.*\n)+)", makefile, re.MULTILINE)
    program, *options = shlex.split(recipe.replace("\\\n", " "))
    assert program == "$(BIN)/jupyter", recipe
    return [option.replace("$(NOTEBOOKS)", str(NOTEBOOKS)) for option in options]


def copy_unexecuted(name, folder):
    """Copy a notebook as if it had never been run, so that what is there afterwards is new."""
    notebook = json.loads((NOTEBOOKS / f"{name}.ipynb").read_text(encoding="utf-8"))
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            cell |= {"execution_count": None, "outputs": []}
    (folder / f"{name}.ipynb").write_text(json.dumps(notebook), encoding="utf-8")


class Lab:
    """A server of JupyterLab on copies of notebooks, for a user who has changed no setting.

    Parameters
    ----------
    folder : Path
        Gets the copies, what the kernels write, and all that Jupyter keeps for a user.
    names : iterable of str
        The notebooks.
    """

    def __init__(self, folder, names=()):
        self._folder, copies = folder, folder / "notebooks"
        copies.mkdir(parents=True)
        for name in names:
            copy_unexecuted(name, copies)
        options = [option.replace(str(NOTEBOOKS), str(copies)) for option in lab_command()]
        # The page offers its application to scripts; nothing else differs from what a reader gets.
        options += ["--no-browser", "--allow-root", "--LabApp.expose_app_in_browser=True"]
        self._command = [str(Path(sys.executable).with_name("jupyter")), *options]

    def __enter__(self):
        own = {"INITLIB_ROOT": ROOT, "INITLIB_RUN_DIR": self._folder / "run"}
        for name in ("JUPYTER_CONFIG", "JUPYTER_RUNTIME", "JUPYTERLAB_SETTINGS"):
            own[f"{name}_DIR"] = self._folder / name
        own["JUPYTERLAB_WORKSPACES_DIR"] = self._folder / "workspaces"
        kept = {k: v for k, v in os.environ.items() if not k.startswith("JUPYTER")}
        environment = kept | {name: str(value) for name, value in own.items()}
        self._log = (self._folder / "server.log").open("wb")
        self.process = subprocess.Popen(
            self._command, env=environment, stdout=self._log, stderr=subprocess.STDOUT
        )
        end = time.monotonic() + 90
        about = self._folder / "JUPYTER_RUNTIME" / f"jpserver-{self.process.pid}.json"
        while not (about.exists() and self._answers(about)):
            assert self.process.poll() is None, (self._folder / "server.log").read_text()
            assert time.monotonic() < end, "the server doesn't answer: see server.log"
            time.sleep(0.2)
        return self

    def _answers(self, about):
        try:
            said = json.loads(about.read_text())
        except ValueError:
            return False
        self.token, self._address = said["token"], said["url"]
        return self.status("api/status", self.token) == 200

    def __exit__(self, *_):
        self.process.terminate()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self._log.close()

    def url(self, path, token=""):
        """Return the address of a page."""
        return self._address + path + (f"?token={token}" if token else "")

    def status(self, path, token=""):
        """Ask for a page and return the status of the answer, or None if there is none."""
        try:
            with urllib.request.urlopen(self.url(path, token), timeout=10) as answer:
                return answer.status
        except urllib.error.HTTPError as error:
            error.close()
            return error.code
        except OSError:
            return None


def click_on(browser, element):
    """Click on the middle of the element that a JavaScript expression gives."""
    browser.wait_for(f"!!{element}", 20)
    browser.click(*browser.evaluate(f"(() => {CENTRE.format(element)})()"))


def choose(browser, *labels):
    """Choose from the menu bar, as with the mouse."""
    for label in labels:
        is_it = f"e => e.textContent.startsWith({label!r}) && e.offsetParent"
        click_on(browser, f"{MENU}.find({is_it})")


def open_notebook(browser, lab, name):
    """Open a notebook in a fresh JupyterLab, and wait for its kernel."""
    browser.goto(lab.url(f"lab/workspaces/{name}/tree/{name}.ipynb", lab.token))
    ready = f"window.jupyterapp && {PANEL}?.content?.model && {STATE}"
    browser.wait_for(f"(() => {{const s = {ready}; return s && s.ready && s.kernel == 'idle'}})()")
    return browser.evaluate(STATE)


def run_all(browser, *, restart=False, seconds=300):
    """Choose Run All Cells, or restart and run all; gives the state after the last cell."""
    if restart:
        choose(browser, "Run", "Restart Kernel and Run All")
        click_on(browser, "document.querySelector('.jp-Dialog .jp-mod-accept')")
    else:
        choose(browser, "Run", "Run All Cells")
    # A cell loses its number when it is to run, and gets one when it has.
    browser.wait_for(f"{STATE}.counts.includes(null)", 60)
    end = time.monotonic() + seconds
    while True:
        time.sleep(0.3)
        state = browser.evaluate(STATE)
        if state["kernel"] == "idle" and (state["errors"] or None not in state["counts"]):
            return state
        assert time.monotonic() < end, f"not done after {seconds} s: {state}"
