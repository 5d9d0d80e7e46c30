"""What is compiled of what was installed."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from mlflow_uv.installing import bytecode, install


def installed(packages: Path, name: str, *files: str) -> None:
    """A package whose RECORD lists these files."""
    record = packages / f"{name}-1.0.dist-info" / "RECORD"
    record.parent.mkdir(parents=True)
    record.write_text("".join(f"{file},sha256=0,1\n" for file in files))


def test_what_nobody_imports_is_told_by_its_package(tmp_path: Path) -> None:
    """
    Its own files, and none that another package has, too: MLflow and its small sister lie in one folder.
    """
    packages = tmp_path / "lib" / "python3.11" / "site-packages"
    installed(packages, "mlflow", "mlflow/__init__.py", "mlflow/server.py", '"mlflow/a,b.py"')
    installed(packages, "mlflow_skinny", "mlflow/__init__.py")
    installed(packages, "Flask_Cors", "flask_cors.py")
    (tmp_path / "idle.txt").write_text("flask-cors\nmlflow\n")

    found = install.idle(tmp_path, tmp_path / "idle.txt")

    assert {"mlflow/server.py", "mlflow/a,b.py", "flask_cors.py"} == {str(path.relative_to(packages)) for path in found}


def test_the_same_folders_have_no_bytecode_in_built_and_composed_images() -> None:
    """
    The installer runs alone in a build, where it cannot import what compiles for composed images.
    """
    assert bytecode.UNSERVED == install.UNSERVED
    assert {"test", "tests"} < install.UNSERVED


def test_a_module_whose_bytecode_cannot_be_written_is_named(tmp_path: Path) -> None:
    """
    With the reason, in the log of the build.
    """
    (tmp_path / "grape.py").write_text("colour = 'red'\n")
    (tmp_path / "__pycache__").write_text("a file where the folder would be\n")
    program = (
        "import os, sys; from pathlib import Path; from mlflow_uv.installing import install\n"
        "sys.exit(os.waitstatus_to_exitcode(os.waitpid(install.start_compiler([Path(sys.argv[1])]), 0)[1]))"
    )

    done = subprocess.run(
        (sys.executable, "-c", program, tmp_path / "grape.py"), capture_output=True, text=True, check=False
    )

    assert (1, True) == (done.returncode, f"`{tmp_path / 'grape.py'}` cannot be compiled: " in done.stderr)


@pytest.mark.parametrize(
    ("status", "why"),
    [
        (1 << 8, ""),
        (signal.SIGKILL, ": a process was killed by signal 9, as the kernel does if no memory is left"),
        (signal.SIGSEGV, ": a process was killed by signal 11"),
    ],
)
def test_a_process_that_compiles_and_fails_ends_the_build_with_the_reason(status: int, why: str) -> None:
    """
    One that was killed named no module; nothing is said where all went well.
    """
    install.require_compiled([0, 0])

    with pytest.raises(SystemExit) as raised:
        install.require_compiled([0, status])

    assert f"the bytecode cannot be written{why}" == raised.value.code
