"""Patterns match as git's own do."""

import subprocess
from pathlib import Path

import pytest

from mlflow_uv.core.release.path_patterns import PathPatterns

PATHS = (
    "a.py", "README.md", "docs/a.md", "docs/b/c.md", "x/docs/a.md", "out/a", "out.txt", "x/out/a", "x/y/z.txt",
    "x/a1.txt", "x/a].txt", "x/*.txt", "#a", "!a", "ü/ä b.txt", "x/yy/z.txt",
)  # fmt: skip


@pytest.mark.parametrize(
    "lines",
    [
        ("*.md",), ("/*.md",), ("docs/",), ("/docs/",), ("docs",), ("out",), ("x/**/z.txt",), ("**/a",), ("x/**",),
        ("x/?/z.txt",), ("x/a[0-9].txt",), ("x/a[!0-9].txt",), (r"x/\*.txt",), (r"\#a",), (r"\!a",), ("# a", ""),
        ("*.txt", "!out.txt"), ("ü/",), ("x/y*",), ("x/*.txt",), ("/x/y/",),
    ],
    ids=str,
)  # fmt: skip
def test_patterns_match_what_git_ignores(tmp_path: Path, lines: tuple[str, ...]) -> None:
    """
    The same paths for the same list, as `git check-ignore` tells.
    """
    (tmp_path / ".gitignore").write_text("\n".join(lines))
    subprocess.run(("git", "init", "--quiet"), cwd=tmp_path, check=True)
    told = subprocess.run(
        ("git", "check-ignore", "--no-index", "--stdin", "-z"),
        input="\0".join(PATHS),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )

    patterns = PathPatterns(lines=lines)

    assert [path for path in PATHS if path in told.stdout.split("\0")] == [
        path for path in PATHS if patterns.match(path)
    ]
