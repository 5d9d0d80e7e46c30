"""Lists the files of the project: those that git tracks, and new ones that are not ignored."""

import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LOCKS = ("uv.lock", "package-lock.json")


def ours(pattern: str = r".*") -> list[Path]:
    """Our files whose path in the repository matches as a whole, locks left out."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    names = sorted(name for name in listed.stdout.split("\0") if name and re.fullmatch(pattern, name))
    return [ROOT / name for name in names if Path(name).name not in LOCKS and (ROOT / name).is_file()]


def shown(path: Path) -> str:
    """A path as it is said in a complaint."""
    return path.relative_to(ROOT).as_posix()
