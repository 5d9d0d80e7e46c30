"""Environment variables of a caller that must neither be touched nor change the program's behaviour."""

from dataclasses import dataclass
from pathlib import Path

# Modules that our code, or Python at its start, would import if it looked where it is told to.
MODULES = (
    "sitecustomize", "usercustomize", "json", "argparse", "tomllib", "tomli", "packaging", "mlflow_uv",
    "mlflow_uv_hooks",
)  # fmt: skip


@dataclass(frozen=True)
class Traps:
    """Traps in a folder; `sprung` says which of them somebody stepped on."""

    folder: Path

    @property
    def variables(self) -> dict[str, str]:
        """The environment that leads into them."""
        return {
            "UV_PROJECT_ENVIRONMENT": str(self.folder / "environment"),
            "UV_PYTHON": "3.6",
            "UV_EXCLUDE_NEWER": "2001-01-01T00:00:00Z",
            "UV_FROZEN": "1",
            "UV_PROJECT": str(self.folder),
            "UV_NO_SYNC": "1",
            "VIRTUAL_ENV": str(self.folder / "environment"),
            "PYTHONPATH": str(self.folder / "modules"),
            "PYTHONSTARTUP": str(self.folder / "modules" / "json.py"),
            "PIP_TARGET": str(self.folder / "environment"),
        }

    def sprung(self) -> list[str]:
        """What was touched."""
        notes = [path.name for path in self.folder.glob("*.sprung")]
        found = {path.relative_to(self.folder).as_posix() for path in (self.folder / "environment").rglob("*")}
        return notes + sorted(found - {"environment/pyvenv.cfg", "environment/keep"})


def lay(folder: Path, modules: tuple[str, ...] = MODULES) -> Traps:
    """Lay traps: booby-trapped modules, and an environment with a package of the user's."""
    (folder / "modules").mkdir(parents=True)
    for module in modules:
        note = folder / f"{module}.sprung"
        code = f"open({str(note)!r}, 'w').close()\nraise SystemExit('imported a module of the caller: {module}')\n"
        (folder / "modules" / f"{module}.py").write_text(code)
    (folder / "environment").mkdir()
    (folder / "environment" / "pyvenv.cfg").write_text("home = /nowhere\n")
    (folder / "environment" / "keep").touch()
    return Traps(folder)
