"""What is compiled of what was installed."""

from pathlib import Path

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
