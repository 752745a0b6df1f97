"""Sessions for nox: `nox --list`. Each runs what CI runs, by the same scripts."""

import nox

nox.options.sessions = ["lint", "tests-3.11"]
nox.options.default_venv_backend = "venv"
nox.options.error_on_missing_interpreters = False

PYTHONS = ["3.11", "3.12", "3.13", "3.14"]
BUILDS = ["checked", "sanitized", "threads", "wheel"]


@nox.session(python=PYTHONS)
def tests(session: nox.Session) -> None:
    """Test the package on one Python; arguments go to pytest."""
    session.install(".[test]")
    session.run("python", "-P", "-m", "pytest", *session.posargs)


@nox.session(venv_backend="none")
def lint(session: nox.Session) -> None:
    """Run the linters; arguments name some of them."""
    session.run("bash", "scripts/lint.sh", *session.posargs, external=True)


@nox.session(venv_backend="none")
def docs(session: nox.Session) -> None:
    """Build the documentation site into build/site."""
    session.run("bash", ".ci/run", "docs", external=True)


@nox.session(venv_backend="none")
@nox.parametrize("build", BUILDS, ids=BUILDS)
def build(session: nox.Session, build: str) -> None:
    """Test another build: checked, under sanitizers, or the wheel from the sdist."""
    session.run("bash", ".ci/run", build, external=True)


@nox.session(venv_backend="none")
def ci(session: nox.Session) -> None:
    """Run all that CI runs."""
    session.run("bash", ".ci/run", external=True)


@nox.session(venv_backend="none")
def nightly(session: nox.Session) -> None:
    """Run the long tests on the release build, the checked one and under sanitizers."""
    parts = ["tests", "checked", "sanitized", "threads"]
    session.run("bash", ".ci/run", *parts, env={"PROFILE": "nightly"}, external=True)
