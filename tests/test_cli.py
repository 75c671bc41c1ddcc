"""The command line: what it refuses and shows, and what survives kills, Ctrl-C and competitors."""

import json
import os
import signal
import subprocess
import sys

import pytest
from click.testing import CliRunner
from processes import Command
from tiny_notebooks import Meeting, files_of, make_notebook, record_of

from initlib.lab.cli import main

FIGURE = (
    "import matplotlib.pyplot as plt\n"
    "from initlib.lab import rules\n"
    "from initlib.lab.claims import Claims\n"
    "from initlib.lab.figures import save_figure, style\n"
    "style()\n"
    "claims = Claims('01-a')\n"
    "claims.check('a-b', 'One is one', measured=1.0, predicted=1.0, rule=rules.exact())\n"
    "fig, ax = plt.subplots()\n"
    "ax.plot([0, 1])\n"
    "save_figure(fig, 'fig-a-b', caption='A line.', alt='It rises.', data={'y': [0, 1]})"
)
# A file of a run, without the imports that make a kernel slow.
WRITE = """\
import os, pathlib
path = pathlib.Path(os.environ['INITLIB_RUN_DIR'], {!r})
path.parent.mkdir(exist_ok=True)
path.write_text({!r})"""


def call(*arguments):
    """Run a command in this process."""
    return CliRunner().invoke(main, arguments, catch_exceptions=False)


# What is refused and shown


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (["run", "01-b"], "did you mean 01-a"),
        (["run", "-p", "sed=1"], "did you mean seed"),
        (["run", "-p", "seed=1.5"], "'seed' is of type int"),
        (["run", "-p", "seed"], "not of the form NAME=VALUE"),
        (["run", "-p", "seed=1", "-p", "seed=2"], "given twice"),
        (["run", "-p", "seed=1", "--grid", "seed=2"], "a value and a grid"),
        (["run", "--grid", "lr=0.1,x"], "got 'x'"),
        (["run", "--parameters", "missing.json"], "does not exist"),
        (["run", "--profile", "huge"], "quick"),
        (["run", "--workers", "0"], "--workers"),
        (["cite", "fig-no-such"], "no figure"),
        (["cite", "fig-a-b", "--format", "word"], "latex"),
        (["walk"], "No such command"),
    ],
)
def test_wrong_use_ends_with_2_and_a_hint_and_starts_nothing(root, arguments, hint):
    make_notebook(root, "01-a")
    result = call(*arguments)
    assert result.exit_code == 2
    assert hint in result.output
    assert not (root / "runs").exists()


def test_a_parameters_file_is_checked_and_overridden(root):
    make_notebook(root, "01-a")
    file = root / "p.json"
    file.write_text('{"seed": 3, "lr": "1e-3"}')
    result = call("run", "--parameters", str(file), "-p", "seed=4", "--dry-run")
    assert "01-a seed=4 lr=0.001" in result.output
    file.write_text("[1]")
    assert call("run", "--parameters", str(file)).exit_code == 2
    file.write_text('{"seed": 3, "seed": 4}')
    assert "'seed' is given twice" in call("run", "--parameters", str(file)).output


def test_list_names_notebooks_and_their_parameters(root):
    make_notebook(root, "01-a")
    make_notebook(root, "02-b")
    (root / "notebooks" / "full.json").write_text('{"01-a": {"lr": 0.5}}')
    assert call("list").output == "01-a  A title\n02-b  A title\n"
    assert "lr: float = 0.1 (full: 0.5)  step size (> 0)" in call("list", "01").output


def test_a_grid_runs_once_and_is_skipped_with_the_reason_after_that(root):
    make_notebook(root, "01-a", "print(seed)")
    assert call("run", "--grid", "seed=1,2").exit_code == 0
    result = call("run", "--grid", "seed=1,2,3", "--dry-run")
    lines = [(line.split()[0], line.split(": ")[1][:8]) for line in result.output.splitlines()]
    assert lines == [("skip", "done 202"), ("skip", "done 202"), ("run", "not run ")]
    again = call("run", "--grid", "seed=1,2")
    assert again.exit_code == 0
    assert "2 done before in" in again.output
    assert not (root / "figures").exists()
    assert not (root / "runs" / "quick").exists()


def test_a_failure_is_named_with_its_cell_and_can_be_run_alone(root):
    good = make_notebook(root, "01-a", "1 + 1")
    make_notebook(root, "02-b", "x = 1", "1 / 0")
    result = call("run")
    assert result.exit_code == 1
    assert "[2/2]" in result.output
    assert "02-b: failed" in result.output
    assert "cell 4: ZeroDivisionError: division by zero" in result.output
    assert str(next((root / "runs" / "02-b").glob("*/log.txt"))) in result.output
    status = call("status").output
    assert "01-a" in status
    assert "failed" in status
    report = (root / "runs" / "report.md").read_text()
    assert "cell 4: ZeroDivisionError: division by zero" in report

    # Another key, but the same parameters: what failed is still known after it was repaired.
    make_notebook(root, "02-b", "x = 1", "1 / 1")
    good.write_text(good.read_text().replace("1 + 1", "1 + 2"))
    plan = call("run", "--only-failed", "--dry-run").output
    assert plan.startswith("run   02-b")
    assert "01-a" not in plan
    assert "2 outdated runs" in call("status").output


def test_refresh_puts_outputs_into_notebooks_and_leaves_broken_ones(root):
    good = make_notebook(root, "01-a", "1 + 1")
    bad = make_notebook(root, "02-b", "1 / 0")
    before = bad.read_text()
    assert call("refresh").exit_code == 1
    cells = json.loads(good.read_text())["cells"]
    assert [cell["execution_count"] for cell in cells[1:]] == [1, 2]
    assert cells[2]["outputs"][0]["data"] == {"text/plain": ["2"]}
    assert bad.read_text() == before
    # A new text needs no new run; the outputs are put under it.
    good.write_text(good.read_text().replace("A title", "Another"))
    text = good.read_text()
    result = call("refresh", "01-a")
    assert "1 done before" in result.output
    assert good.read_text() == text
    assert call("normalize", "02-b").output == "02-b: rewritten\n"
    assert call("normalize", "02-b").output == ""


def test_the_full_profile_is_published_and_can_be_cited(root):
    make_notebook(root, "01-a", FIGURE)
    (root / "notebooks" / "full.json").write_text('{"01-a": {"lr": 0.5}}')
    result = call("run", "--profile", "full")
    assert result.exit_code == 0, result.output
    figures = root / "figures"
    sidecar = json.loads((figures / "fig-a-b.json").read_text())
    record = record_of(root, "01-a")
    assert (sidecar["notebook"], sidecar["key"]) == ("01-a", record["key"])
    assert (sidecar["parameters"], record["profile"]) == ({"seed": 0, "lr": 0.5}, "full")
    assert {path.suffix for path in figures.glob("fig-a-b.*")} == {
        *(".svg", ".pdf", ".png", ".csv", ".json")
    }
    assert "One is one" in (figures / "claims.md").read_text()
    assert "fig-a-b" in (figures / "README.md").read_text()
    cited = call("cite", "fig-a-b", "--format", "latex").output
    assert rf"{figures}/fig-a-b.pdf" in cited
    # Another kernel makes the same bytes.
    images = {path: path.read_bytes() for path in figures.glob("fig-a-b.[!j]*")}
    assert call("run", "--profile", "full", "--force").exit_code == 0
    assert len(images) == 4
    assert {path: path.read_bytes() for path in images} == images
    # What was lost is published again from the store.
    (figures / "fig-a-b.pdf").unlink()
    (figures / "claims.md").unlink()
    assert "1 done before" in call("run", "--profile", "full").output
    assert (figures / "fig-a-b.pdf").exists()
    assert (figures / "claims.md").exists()
    (figures / "claims.md").unlink()
    assert str(figures / "claims.md") in call("claims").output
    assert (figures / "claims.md").exists()


def test_results_of_another_form_are_named_and_the_batch_is_reported(root):
    code = "import os\nwith open(os.environ['INITLIB_RUN_DIR'] + '/results.json', 'w') as file:\n"
    make_notebook(root, "01-a", code + "    file.write('{}')")
    result = call("run")
    assert result.exit_code == 1
    assert "no results file" in result.output
    assert "1 ok" in result.output
    assert (root / "runs" / "report.md").exists()


# What survives


def test_a_kernel_that_is_killed_is_dead_and_the_others_finish(root, kernels):
    make_notebook(root, "02-b", "print('fine')")
    with Meeting(root) as meeting:
        figure = WRITE.format("figures/fig-a-b.pdf", "a figure")
        make_notebook(root, "01-a", figure, meeting.code)
        runner = Command("run", "--workers", "2", "--kernels", kernels)
        kernel, _ = meeting.wait()
        os.kill(kernel, signal.SIGKILL)
        output = runner.wait()
        assert runner.returncode == 1, output
        assert "01-a: dead" in output
        assert "SIGKILL" in output
        assert record_of(root, "01-a")["state"] == "dead"
        assert record_of(root, "02-b")["state"] == "ok"
        left = ["lock", "log.txt", "notebook.partial.ipynb", "run.json"]
        assert files_of(root, "01-a") == left
        assert not (root / "runs" / "quick" / "fig-a-b.pdf").exists()

        runner = Command("run")
        _, connection = meeting.wait()
        connection.close()
        output = runner.wait()
    assert runner.returncode == 0, output
    assert "1 ok" in output
    assert "1 done before" in output
    assert "figures/fig-a-b.pdf" in files_of(root, "01-a")
    assert (root / "runs" / "quick" / "fig-a-b.pdf").exists()


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_runner_that_is_ended_leaves_no_result_and_the_next_goes_on(root, how, kernels):
    results = WRITE.format("results.json", '{"notebook": "01-a", "claims": [], "numbers": {}}')
    make_notebook(root, "02-b", "1")
    with Meeting(root) as meeting:
        make_notebook(root, "01-a", results, meeting.code)
        runner = Command("run", "--workers", "1", "--kernels", kernels)
        _, connection = meeting.wait()
        runner.send_signal(how)
        output = runner.wait()
        # The kernel has ended too: its end of the connection is closed.
        connection.settimeout(60)
        assert connection.recv(1) == b""
        assert record_of(root, "02-b")["state"] == "queued"
        if how == signal.SIGKILL:
            assert runner.returncode == -signal.SIGKILL
            assert "gone" in call("status").output
        else:
            assert runner.returncode == 130, output
            assert "1 dead, 1 not started" in output
            assert record_of(root, "01-a")["error"] == "interrupted"
        # What an interrupted batch has not come to is not forgotten.
        left = call("run", "--only-failed", "--dry-run").output
        assert ("01-a" in left, "02-b" in left) == (True, True)
        assert "results.json" not in files_of(root, "01-a")

        runner = Command("run")
        meeting.wait()[1].close()
        output = runner.wait()
    assert runner.returncode == 0, output
    assert "2 ok" in output
    assert "results.json" in files_of(root, "01-a")
    assert not [name for name in files_of(root, "01-a") if "scratch" in name]


def test_two_runners_share_the_work_and_run_nothing_twice(root):
    ledger = root / "ledger"
    with Meeting(root) as meeting:
        for name in ("01-a", "02-b"):
            note = f"with open({str(ledger)!r}, 'a') as file:\n    file.write('{name}\\n')"
            make_notebook(root, name, note, meeting.code)
        first = Command("run", "--workers", "1")
        _, one = meeting.wait()
        second = Command("run", "--workers", "1")
        _, other = meeting.wait()
        one.close()
        other.close()
        outputs = [runner.wait() for runner in (first, second)]
    assert [first.returncode, second.returncode] == [0, 0], outputs
    assert sorted(ledger.read_text().split()) == ["01-a", "02-b"]
    assert all("1 ok" in output and "1 done before" in output for output in outputs)


def test_a_file_that_can_not_be_written_fails_its_run_only(root, kernels):
    make_notebook(root, "01-a", "print('x' * 200_000)")
    make_notebook(root, "02-b", "1")
    # As on a full disk, a write ends with an error.
    command = f"ulimit -f 100; exec {sys.executable} -m initlib.lab.cli run --kernels {kernels}"
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, timeout=60)
    assert done.returncode == 1, done.stderr
    assert "01-a: failed" in done.stdout
    assert "1 ok" in done.stdout
    assert "notebook.ipynb" not in files_of(root, "01-a")
