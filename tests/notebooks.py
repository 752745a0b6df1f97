"""Notebooks run from the top, by the Python that runs the tests."""

import sys
from pathlib import Path

import nbformat
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient

FOLDER = Path(__file__).resolve().parents[1] / "examples"


class OwnKernel(AsyncKernelManager):
    """A kernel of this Python, whatever kernels are installed."""

    @property
    def kernel_spec(self):
        return KernelSpec(
            argv=[sys.executable, "-P", "-m", "ipykernel_launcher", "-f", "{connection_file}"]
        )


def run_notebook(path, folder):
    """Run a notebook in a folder; returns it with its outputs."""
    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(
        notebook,
        timeout=600,
        kernel_manager_class=OwnKernel,
        resources={"metadata": {"path": str(folder)}},
    )
    client.execute()
    return notebook


def texts(notebook):
    """For each code cell what it shows as text: printed, plain and HTML, but no pictures."""
    shown = []
    for cell in notebook.cells:
        if cell.cell_type == "code":
            outputs = [
                output.get("data", {"text": output.get("text")}) for output in cell.outputs
            ]
            shown.append(
                [
                    text
                    for data in outputs
                    for kind, text in sorted(data.items())
                    if not kind.startswith("image/")
                ]
            )
    return shown


if __name__ == "__main__":  # run the notebooks anew and keep what they show
    for name in FOLDER.glob("*.ipynb"):
        notebook = run_notebook(name, FOLDER)
        for cell in notebook.cells:
            cell.metadata.pop("execution", None)
        nbformat.write(notebook, name)
