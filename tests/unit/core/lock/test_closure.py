"""Walking from the roots of a lock to the packages that it installs, and rejecting broken locks."""

import pytest

from mlflow_uv.command.errors import BadInput
from mlflow_uv.core.lock.closure import closure, selected_roots
from mlflow_uv.core.lock.lockfile import Lockfile, NotALock, read_lockfile
from mlflow_uv.core.lock.selection import Selection
from mlflow_uv.core.lock.targets import Markers, parse_target

HEAD = 'version = 1\nrevision = 3\nrequires-python = ">=3.9"\n'
REGISTRY = 'source = { registry = "https://index.test/simple" }\n'
LOCK = f"""{HEAD}
[[package]]
name = "cork"
version = "3.0"
{REGISTRY}
[[package]]
name = "grape"
version = "1.0"
{REGISTRY}dependencies = [{{ name = "yeast" }}, {{ name = "glue", marker = "sys_platform == 'win32'" }}]
[package.optional-dependencies]
press = [{{ name = "cork" }}]

[[package]]
name = "glue"
version = "1.0"
{REGISTRY}
[[package]]
name = "wine"
version = "0.1.0"
source = {{ editable = "." }}
dependencies = [{{ name = "grape" }}]
[package.optional-dependencies]
all = [{{ name = "wine", extra = ["fast-one"] }}]
fast-one = [{{ name = "grape", extra = ["press"] }}]
[package.dev-dependencies]
train = [{{ name = "cork" }}]
[package.metadata]
provides-extras = ["all", "fast-one", "empty"]
[package.metadata.requires-dev]
none = []

[[package]]
name = "yeast"
version = "2.0"
{REGISTRY}dependencies = [{{ name = "cork", marker = "python_full_version < '3.10'" }}]
"""


def walked(text: str, selection: Selection, *, name: str | None = "wine", target: str = "linux-x86_64-py3.11") -> dict:
    """Names to the ways that lead to them."""
    lock = lockfile(text)
    found = closure(lock, selected_roots(lock, selection, name=name), Markers(parse_target(target)))
    return {one.package.name: one.via for one in found}


def lockfile(text: str) -> Lockfile:
    """A lock from its text."""
    return read_lockfile(text.encode())


@pytest.mark.parametrize(
    ("selection", "target", "ways"),
    [
        (Selection(), "linux-x86_64-py3.11", {}),
        (Selection(), "windows-x86_64-py3.11", {"glue": ("wine", "grape", "glue")}),
        (Selection(), "linux-x86_64-py3.9", {"cork": ("wine", "grape", "yeast", "cork")}),
        (Selection(extras=("Fast_One",)), "linux-x86_64-py3.11", {"cork": ("wine", "grape", "cork")}),
        (Selection(extras=("all",)), "linux-x86_64-py3.11", {"cork": ("wine", "grape", "cork")}),
        (Selection(groups=("train",)), "linux-x86_64-py3.9", {"cork": ("wine", "cork")}),
        (Selection(package="Wine", extras=("empty",), groups=("none",)), "linux-x86_64-py3.11", {}),
    ],
    ids=str,
)
def test_every_package_comes_with_the_shortest_way_to_it(selection: Selection, target: str, ways: dict) -> None:
    """
    Names from what is served on; a package that is reached through an extra of itself is named once.
    """
    always = {"wine": ("wine",), "grape": ("wine", "grape"), "yeast": ("wine", "grape", "yeast")}

    found = walked(LOCK, selection, target=target)

    assert always | ways == found


@pytest.mark.parametrize(
    ("selection", "why"),
    [
        (Selection(extras=("no",)), "extra `no` is unknown, known are all, empty, fast-one"),
        (Selection(groups=("no",)), "group `no` is unknown, known are none, train"),
        (Selection(package="grape"), "it has no local package `grape`"),
        (Selection(package="no"), "it has no local package `no`"),
    ],
    ids=str,
)
def test_what_the_lock_does_not_have_cannot_be_selected(selection: Selection, why: str) -> None:
    """
    It is said what it has.
    """
    with pytest.raises(BadInput) as caught:
        walked(LOCK, selection)

    assert ("the selection is not in the lock", why) == (caught.value.what, caught.value.why)


MEMBERS = f"""{HEAD}
[manifest]
members = ["red", "white"]
[manifest.dependency-groups]
dev = [{{ name = "grape", extras = ["press"], specifier = ">=1", marker = "sys_platform == 'linux'" }}]

[[package]]
name = "cork"
version = "3.0"
{REGISTRY}
[[package]]
name = "grape"
version = "1.0"
{REGISTRY}resolution-markers = ["sys_platform == 'win32'"]

[[package]]
name = "grape"
version = "2.0"
{REGISTRY}resolution-markers = ["sys_platform != 'win32'"]
[package.optional-dependencies]
press = [{{ name = "cork" }}]

[[package]]
name = "red"
source = {{ virtual = "red" }}

[[package]]
name = "white"
source = {{ editable = "white" }}
"""


def test_a_root_that_is_no_project_stands_for_its_members_and_has_groups_of_its_own() -> None:
    """
    Of several versions the group means the one for this platform.
    """
    found = walked(MEMBERS, Selection(groups=("dev",)), name=None)

    assert {"red": ("red",), "white": ("white",), "grape": ("grape",), "cork": ("grape", "cork")} == found


def test_a_member_can_be_selected_alone() -> None:
    """
    Nothing of the others comes along.
    """
    found = walked(MEMBERS, Selection(package="white"), name=None)

    assert {"white": ("white",)} == found


AMBIGUOUS = f"""{HEAD}
[[package]]
name = "grape"
version = "1.0"
source = {{ url = "https://files.test/grape-1.0-x86_64.whl" }}

[[package]]
name = "grape"
version = "1.0"
source = {{ url = "https://files.test/grape-1.0-aarch64.whl" }}

[[package]]
name = "wine"
source = {{ editable = "." }}
dependencies = [
    {{ name = "grape", version = "1.0", source = {{ url = "https://files.test/grape-1.0-aarch64.whl" }}, marker = "platform_machine == 'aarch64'" }},
    {{ name = "grape", version = "1.0", source = {{ url = "https://files.test/grape-1.0-x86_64.whl" }}, marker = "platform_machine == 'x86_64'" }},
]
"""  # noqa: E501  # as uv writes it


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_the_same_name_and_version_from_two_sources_are_two_packages(machine: str) -> None:
    """
    An edge names version and source where the name alone does not do.
    """
    lock = lockfile(AMBIGUOUS)
    roots = selected_roots(lock, Selection(), name="wine")

    found = closure(lock, roots, Markers(parse_target(f"linux-{machine}-py3.11")))

    assert [f"https://files.test/grape-1.0-{machine}.whl", "."] == [one.package.source.address for one in found]


CONFLICTS = """conflicts = [[{ package = "wine", extra = "all" }, { package = "wine", group = "train" }]]
"""


@pytest.mark.parametrize(
    "selection",
    [
        Selection(extras=("all",), groups=("train",)),
        Selection(extras=("All",), groups=("TRAIN",)),
    ],
    ids=str,
)
def test_what_the_lock_sets_apart_cannot_be_served_together(selection: Selection) -> None:
    """
    It is said what excludes what.
    """
    text = LOCK.replace(HEAD, HEAD + CONFLICTS)

    with pytest.raises(BadInput) as caught:
        walked(text, selection)

    assert "`wine[all]` and group `train` of `wine` cannot be served together" == caught.value.what


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ('[{ name = "cork" }]', '[{ name = "gone" }]', "`gone` leads to 0 packages"),
        ("python_full_version < '3.10'", "python is old", "is malformed"),
        (HEAD, HEAD + 'conflicts = [["wine"]]\n', "`conflicts` are malformed"),
        ('press = [{ name = "cork" }]', 'press = [{ name = "cork", version = "9", SOURCE }]', "`cork` leads to 0"),
    ],
)
def test_a_lock_that_does_not_hang_together_is_no_lock(old: str, new: str, why: str) -> None:
    """
    Whatever is wrong with it, it is said as such.
    """
    text = LOCK.replace(old, new.replace("SOURCE", REGISTRY.strip()))

    with pytest.raises(NotALock, match=why):
        walked(text, Selection(extras=("all",), groups=("train",)))

    assert LOCK != text
