"""Run notebooks from the top, with the Python that runs the tests."""

import sys
from pathlib import Path

import nbformat
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient

FOLDER = Path(__file__).resolve().parents[1] / "examples"


class OwnKernel(AsyncKernelManager):
    """A kernel of this Python, whichever kernels are installed."""

    @property
    def kernel_spec(self):
        return KernelSpec(
            argv=[sys.executable, "-P", "-m", "ipykernel_launcher", "-f", "{connection_file}"]
        )


def run_notebook(path, folder):
    """Run a notebook in a folder; return it with its outputs."""
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
    """Return what each code cell shows as text: printed, plain and HTML, no pictures."""
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


if __name__ == "__main__":  # run the notebooks again and save their outputs
    for name in FOLDER.glob("*.ipynb"):
        notebook = run_notebook(name, FOLDER)
        for cell in notebook.cells:
            cell.metadata.pop("execution", None)
        nbformat.write(notebook, name)
