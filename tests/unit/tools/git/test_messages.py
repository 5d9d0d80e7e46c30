"""What git prints about files is parsed, whatever bytes their names have."""

import os
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlflow_uv.tools.git.messages import (
    GitEntry,
    bytes_of,
    entry_of,
    headers,
    link_blob,
    link_target,
    path_of,
    pathspecs,
)

SHA1, SHA256 = "0" * 40, "0" * 64


@pytest.mark.parametrize(
    ("tag", "hidden"), [("H", False), ("h", True), ("S", True), ("s", True), ("M", False), ("C", False)]
)
def test_an_entry_says_whether_git_skips_its_content(tag: str, hidden: bool) -> None:
    """
    As `--assume-unchanged` and `--skip-worktree` do.
    """
    entry = entry_of(f"{tag} 100644 {SHA1} 0\tmodels/wine/train.py")

    assert (GitEntry(tag=tag, mode="100644", blob=SHA1, name="models/wine/train.py"), hidden) == (entry, entry.hidden)


@given(st.binary(min_size=1, max_size=12).filter(lambda name: b"\0" not in name and b"/" not in name))
def test_a_name_of_any_bytes_is_the_same_file(name: bytes) -> None:
    """
    Git's names are bytes, Python's text.
    """
    text = name.decode(errors="surrogateescape")

    found = path_of(Path("/w"), entry_of(f"H 100644 {SHA1} 0\t{text}").name)

    assert (b"/w/" + name, name) == (os.fsencode(found) if name not in (b".", b"..") else b"/w/" + name, bytes_of(text))


def test_a_tab_in_a_name_is_part_of_it() -> None:
    """
    The first one ends the other words.
    """
    assert "a\tb" == entry_of(f"H 100644 {SHA1} 0\ta\tb").name


PATCH = """\
diff --git a/touched.py b/touched.py
diff --git a/train.py b/train.py
index 1234567..89abcde 100644
--- a/train.py
+++ b/train.py
@@ -1 +1 @@
-index of wines
+diffs
 diff --git a/fake b/fake
diff --git a/gone.py b/gone.py
deleted file mode 100644
index 1234567..0000000
diff --git a/last.py b/last.py
"""


def test_the_headers_of_a_patch_identify_what_changed() -> None:
    """
    A file of which only the time changed is left out, and no line of content is a header.
    """
    assert (
        "diff --git a/train.py b/train.py",
        "index 1234567..89abcde 100644",
        "diff --git a/gone.py b/gone.py",
        "deleted file mode 100644",
        "index 1234567..0000000",
    ) == headers(PATCH)


@pytest.mark.parametrize("target", ["train.py", "folder/", "../elsewhere", "größe", "a b"])
def test_a_link_has_the_blob_that_git_gives_it(tmp_path: Path, target: str) -> None:
    """
    The blob of its target's text, with the algorithm of the repository.
    """
    link = tmp_path / "link"
    os.symlink(target, link)  # noqa: PTH211  # a Path would drop the slash at the end
    argv = ("git", "hash-object", "--stdin")
    by_git = subprocess.run(argv, input=target.encode(), capture_output=True, check=True, cwd=tmp_path).stdout

    assert (target.encode(), by_git.decode().strip()) == (link_target(link), link_blob(link, like=SHA1))
    assert 64 == len(link_blob(link, like=SHA256))


def test_folders_are_named_from_the_root_of_the_work_tree(tmp_path: Path) -> None:
    """
    Each once, as it is written, and none that is elsewhere; a link counts for where it leads.
    """
    (tmp_path / "top" / "a*b").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "top")
    top = tmp_path / "top"

    found = pathspecs(tmp_path / "link", (top, top / "a*b", top / "a*b", tmp_path / "other", tmp_path / "topper"))

    assert (":(top,literal)", ":(top,literal)a*b") == found
