"""The quick-start notebook is what jupytext makes of docs/quick_start.py, and runs from top to bottom.

It is kept with its outputs, for those who only read it. After a change of the script, or of what it shows:
`python -m tests.test_notebook` writes it anew.
"""

import json
import re
from pathlib import Path

import jupytext
import nbformat
import pytest
from nbclient import NotebookClient

ROOT = Path(__file__).parent.parent
SCRIPT, NOTEBOOK = ROOT / "docs" / "quick_start.py", ROOT / "docs" / "quick_start.ipynb"
LARGEST = 200_000  # characters of the file


def read():
    return nbformat.read(NOTEBOOK, as_version=4)


def execute(notebook):
    """The notebook with its outputs, by a kernel of this interpreter: no times, no version of Python, no text beside a
    table or picture."""
    resources = {"metadata": {"path": str(ROOT)}}
    client = NotebookClient(notebook, timeout=300, kernel_name="python3", resources=resources, record_timing=False)
    executed = client.execute()
    executed.metadata.pop("language_info", None)
    for output in _outputs(executed):
        if len(output.get("data", {})) > 1:
            output.data.pop("text/plain")
    return executed


def _outputs(notebook):
    return [output for cell in notebook.cells for output in cell.get("outputs", ())]


def shown(notebook):
    """The outputs of each code cell, by kind; with # for every number, as the last digits differ between machines."""

    def said(output):
        if output.output_type == "stream":
            return output.name, _without_numbers(output.text)
        kinds = output.data.items()
        return [(kind, _without_numbers(content) if kind.startswith("text") else "") for kind, content in kinds]

    return [[said(output) for output in cell.outputs] for cell in notebook.cells if cell.cell_type == "code"]


def _without_numbers(text):
    return re.sub(r"[-−+]?\d[\d.,]*(e[-+]?\d+)?", "#", text)


def test_the_notebook_is_the_script():
    written, made = ([(cell.cell_type, cell.source) for cell in of.cells] for of in (read(), jupytext.read(SCRIPT)))
    assert written == made


def test_the_notebook_has_the_outputs_of_a_run(executed):
    notebook = read()
    assert shown(notebook) == shown(executed), "python -m tests.test_notebook writes them anew"
    counts = [cell.execution_count for cell in notebook.cells if cell.cell_type == "code"]
    assert counts == [*range(1, len(counts) + 1)]
    told = [cell for cell in notebook.cells if cell.cell_type == "code" and "print(" in cell.source]
    assert len(told) == 3
    assert all(cell.outputs for cell in told)


def test_the_notebook_says_nothing_of_the_machine_that_made_it():
    notebook, text = read(), NOTEBOOK.read_text(encoding="utf-8")
    assert len(text) < LARGEST
    assert notebook.metadata.keys() == {"kernelspec"}
    assert all(cell.metadata == {} for cell in notebook.cells)
    outputs = json.dumps(_outputs(notebook))
    assert not re.search(r"Warning|Traceback|stderr|[\"' ](/home|/root|/tmp|/usr|/work|/Users)/|[A-Z]:\\\\", outputs)


@pytest.fixture(scope="module")
def executed(tmp_path_factory):
    """A run of the notebook, by a kernel that writes to a temporary folder."""
    folder = tmp_path_factory.mktemp("jupyter")
    with pytest.MonkeyPatch.context() as patch:
        for name in ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR", "MPLCONFIGDIR"):
            patch.setenv(name, str(folder / name))
        patch.setenv("JAX_DISABLE_MOST_OPTIMIZATIONS", "true")
        patch.delenv("JUPYTER_PATH", raising=False)
        patch.delenv("MPLBACKEND", raising=False)
        return execute(read())


def outputs(notebook, kind):
    """Everything of this MIME type that the cells show."""
    return [output.data[kind] for output in _outputs(notebook) if kind in output.get("data", {})]


def test_it_runs_and_warns_of_nothing(executed):
    streams = [output for output in _outputs(executed) if output.output_type == "stream"]
    assert {stream.name for stream in streams} == {"stdout"}
    assert len(outputs(executed, "image/png")) == 1


def test_solutions_and_reports_show_as_tables(executed):
    shown = outputs(executed, "text/html")
    assert all("<table" in page for page in shown)
    for page, said in zip(shown, ("CONVERGED", "SEPARABLE", "WRONG: gradient", "RIGHT: gradient"), strict=True):
        assert said in page
    assert "averaged where the cost sums" in shown[2]


if __name__ == "__main__":
    of_script, kept = jupytext.read(SCRIPT), read()
    ids = {cell.source: cell.id for cell in kept.cells}
    for cell in of_script.cells:
        cell.id, cell.metadata = ids.get(cell.source, cell.id), nbformat.NotebookNode()
    of_script.metadata = kept.metadata
    nbformat.write(execute(of_script), NOTEBOOK)
