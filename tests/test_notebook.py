"""The quick-start notebook is what jupytext makes of docs/quick_start.py, and runs from top to bottom.

It is kept without outputs, which would drift. After a change: `jupytext --to notebook --update docs/quick_start.py`.
"""

from pathlib import Path

import jupytext
import nbformat
import pytest
from nbclient import NotebookClient

ROOT = Path(__file__).parent.parent
SCRIPT, NOTEBOOK = ROOT / "docs" / "quick_start.py", ROOT / "docs" / "quick_start.ipynb"


def read():
    return nbformat.read(NOTEBOOK, as_version=4)


def test_the_notebook_is_the_script_without_outputs():
    notebook = read()
    written, made = ([(cell.cell_type, cell.source) for cell in of.cells] for of in (notebook, jupytext.read(SCRIPT)))
    assert written == made
    assert all(cell.outputs == [] and cell.execution_count is None for cell in notebook.cells if "outputs" in cell)


@pytest.fixture(scope="module")
def executed(tmp_path_factory):
    """The notebook with its outputs, by a kernel of this interpreter that writes to a temporary folder."""
    folder = tmp_path_factory.mktemp("jupyter")
    with pytest.MonkeyPatch.context() as patch:
        for name in ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR", "MPLCONFIGDIR"):
            patch.setenv(name, str(folder / name))
        patch.setenv("JAX_DISABLE_MOST_OPTIMIZATIONS", "true")
        patch.delenv("JUPYTER_PATH", raising=False)
        patch.delenv("MPLBACKEND", raising=False)
        resources = {"metadata": {"path": str(ROOT)}}
        return NotebookClient(read(), timeout=300, kernel_name="python3", resources=resources).execute()


def outputs(notebook, kind):
    """Everything of this MIME type that the cells show."""
    return [
        output.data[kind]
        for cell in notebook.cells
        for output in cell.get("outputs", ())
        if kind in output.get("data", {})
    ]


def test_it_runs_and_warns_of_nothing(executed):
    streams = [
        output for cell in executed.cells for output in cell.get("outputs", ()) if output.output_type == "stream"
    ]
    assert {stream.name for stream in streams} == {"stdout"}
    assert len(outputs(executed, "image/png")) == 1


def test_solutions_and_reports_show_as_tables(executed):
    shown = outputs(executed, "text/html")
    assert all("<table" in page for page in shown)
    for page, said in zip(shown, ("CONVERGED", "SEPARABLE", "WRONG: gradient", "RIGHT: gradient"), strict=True):
        assert said in page
    assert "averaged where the cost sums" in shown[2]
