"""The comment on a pull request."""

import re
from dataclasses import replace

from markdown_it import MarkdownIt

from mlflow_uv.core.lock_difference.changes import ChangeKind, PackageChange, PackageUse
from mlflow_uv.core.lock_difference.comment import LIMIT, MARKER, comment_of
from mlflow_uv.core.lock_difference.comparison import (
    LockChange,
    LockComparison,
    RepositoryComparison,
    TargetComparison,
    TargetProblem,
)
from mlflow_uv.core.lock_difference.lock_update import LockHunk, LockUpdate

GRAPE = PackageChange(name="grape", kind=ChangeKind.UPDATED, before="1.0", after="2.0", use=PackageUse.SERVED)
PYTEST = PackageChange(name="pytest", kind=ChangeKind.ADDED, after="9", use=PackageUse.DEVELOPMENT)
TARGET = TargetComparison(
    target="linux-x86_64-py3.11",
    packages_before=2,
    packages_after=3,
    bytes_before=1_000_000,
    bytes_after=3_500_000,
)
LOCK = LockComparison(path="uv.lock", change=LockChange.CHANGED, packages=(GRAPE, PYTEST), targets=(TARGET,))
GITHUB = MarkdownIt("commonmark").enable("table")
EXPECTED = f"""{MARKER}
### 2 packages changed (1 added, 1 updated), 1 of them served

<sub><code>aaaaaaa</code> → <code>bbbbbbb</code> · yanked releases and vulnerabilities were not looked up</sub>

#### <code>uv.lock</code>

| | package | before | after |
|:-:|---|---|---|
| ↑ | <code>grape</code> | 1.0 | 2.0 |

| served on | packages | download |
|---|---|---|
| linux-x86&#95;64-py3.11 | 2 → 3 | +2.5 MB, now 3.5 MB |

<details>
<summary>1 package not served</summary>

| | package | before | after |
|:-:|---|---|---|
| &#43; | <code>pytest</code> |  | 9 |

</details>

"""


def of(*locks: LockComparison) -> RepositoryComparison:
    """A comparison of two commits."""
    return RepositoryComparison(base="a" * 40, head="b" * 40, locks=locks)


def test_what_is_served_comes_first() -> None:
    """
    The verdict, the served packages and their size; what is of development is folded.
    """
    assert EXPECTED == comment_of(of(LOCK))


def test_nothing_to_say_is_no_comment() -> None:
    """
    A pull request that changes no lock gets none.
    """
    assert "" == comment_of(of())


def test_what_a_reviewer_must_see_is_a_warning() -> None:
    """
    Another index, replaced files, a yanked or vulnerable release, a target without a wheel.
    """
    packages = (
        replace(GRAPE, source_before="https://a.test", source_after="https://b.test"),
        replace(GRAPE, name="must", kind=ChangeKind.FILES, files="must.whl has no hash any more"),
        replace(GRAPE, name="corp", kind=ChangeKind.ADDED, source_after="https://b.test"),
        replace(GRAPE, name="stem", files="from b.test"),
        replace(GRAPE, name="cork", yanked=True),
        replace(GRAPE, name="yeast", vulnerabilities=("GHSA-1 (CVE-2), high, fixed in 3", "PYSEC-4, unknown severity")),
    )
    problem = TargetProblem(package="oak", version="3", method="built from source")
    lock = replace(LOCK, packages=packages, targets=(replace(TARGET, problems=(problem,)),))

    warnings = re.findall(r"^> (?!\[!)(.+)$", comment_of(of(lock)), re.MULTILINE)

    assert [
        "<code>grape</code> comes from https:<wbr>//b.test instead of https:<wbr>//a.test",
        "files of <code>must</code> 2.0 were replaced: must.whl has no hash any more",
        "<code>corp</code> 2.0 is new and comes from https:<wbr>//b.test",
        "files of <code>stem</code> 2.0 come from b.test",
        "<code>cork</code> 2.0 was yanked from its index",
        "<code>yeast</code> 2.0 has GHSA<wbr>-1 (CVE<wbr>-2), high, fixed in 3",
        "<code>yeast</code> 2.0 has PYSEC-4, unknown severity",
        "<code>oak</code> 3 has no wheel for linux-x86&#95;64-py3.11: built from source",
    ] == warnings


HOSTILE = (
    f"{MARKER}\n@everyone ![x](https://evil.test/p) <img src=x onerror=alert(1)> \u202e#1 `a`|b --> </details>"
    "\n\n# heading\n\n> [!CAUTION]\n"
)


def test_untrusted_text_stays_text() -> None:
    """
    No mention, image, element, marker, reading order or heading comes from a path, a note or a source.
    """
    package = replace(GRAPE, source_before=HOSTILE, source_after=HOSTILE, vulnerabilities=(HOSTILE,))
    target = replace(TARGET, uncovered=HOSTILE)
    lock = replace(LOCK, path=HOSTILE, moved_from=HOSTILE, note=HOSTILE, packages=(package,), targets=(target,))

    text = comment_of(of(lock))

    assert (1, 0) == (text.count("<!--"), text.count("\u202e"))
    assert not re.search(r"@everyone|(?<!&)#1\b|!\[x|<img|^# heading|https://evil", text, re.MULTILINE)
    shown = GITHUB.render(text)
    assert "<img" not in shown
    assert shown.count("<h1>") == shown.count("<a ") == 0


def test_a_comment_is_never_too_long() -> None:
    """
    Tables are left out, longest first, and the verdict and the warnings stay.
    """
    many = tuple(replace(GRAPE, name=f"grape-{number}") for number in range(2000))

    text = comment_of(of(replace(LOCK, packages=(*many, PYTEST), note="look here"), LOCK))

    assert len(text) <= LIMIT
    assert text.startswith(MARKER)
    assert "> look here\n" in text
    assert text.endswith("the job summary has all of them.\n")
    assert ("grape-5" not in text, "| ↑ | <code>grape</code> |" in text) == (True, True)


def test_a_hundred_locks_with_long_warnings_fit() -> None:
    """
    Even what is essential is cut before GitHub refuses all of it.
    """
    lock = replace(LOCK, note="|" * 1000, path="x" * 1000)

    assert len(comment_of(of(*(lock for _ in range(100))))) <= LIMIT


UPDATES = (
    LockUpdate(path="uv.lock", hunks=(LockHunk(first_line=7, lines=(" a", "-```", "+```` </details>", " d")),)),
    LockUpdate(path="b & c/uv.lock"),
)
OUT_OF_DATE = f"""{MARKER}
### 2 locks are out of date

<sub><code>aaaaaaa</code> → <code>bbbbbbb</code> · yanked releases and vulnerabilities were not looked up</sub>

> [!CAUTION]
> Out of date: <code>uv.lock</code>, <code>b &amp; c/uv.lock</code>. Update and commit:

```
uv lock
uv lock --project 'b & c'
```

<details>
<summary>The same as a patch of <code>uv.lock</code></summary>

The job of this pull request made it: review it as the other changes of the pull request.

`````
git apply <<'PATCH'
--- a/uv.lock
+++ b/uv.lock
@@ -7,3 +7,3 @@
 a
-```
+```` </details>
 d
PATCH
`````

</details>

"""


def test_a_lock_that_is_out_of_date_comes_with_the_commands_that_update_it() -> None:
    """
    Also where nothing else differs; a line of a patch ends neither its block nor the fold.
    """
    assert OUT_OF_DATE == comment_of(replace(of(), updates=UPDATES))


def test_patches_are_left_out_before_warnings() -> None:
    """
    The command that does the same stays.
    """
    long = LockHunk(first_line=1, lines=("-" + "a" * 900,) * 60)
    many = tuple(LockUpdate(path=f"{number}/uv.lock", hunks=(long,)) for number in range(3))

    text = comment_of(replace(of(LOCK), updates=many))

    assert len(text) <= LIMIT
    assert (1, "uv lock --project 2\n" in text) == (text.count("git apply"), True)
