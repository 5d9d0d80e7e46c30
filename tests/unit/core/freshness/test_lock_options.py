"""uv's settings are compared with those that the lock was made with; the same in other words is no difference."""

import pytest
import tomli

from mlflow_uv.core.freshness.causes import Cause, Difference, ManifestPlace
from mlflow_uv.core.freshness.declared_requirements import ProjectManifest, Workspace
from mlflow_uv.core.freshness.lock_options import list_differences, option_differences
from mlflow_uv.core.lock.lockfile import Lockfile, read_lockfile

PACKAGES = """
[[package]]
name = "wine"
version = "0.1.0"
source = { virtual = "." }

[[package]]
name = "oak"
version = "1.0"
source = { registry = "https://index.test/simple" }
"""
Expected = tuple[Cause, tuple[str | int, ...], str, str]


def lock_of(text: str = "") -> Lockfile:
    """A lock with two packages, and more."""
    return read_lockfile(f'version = 1\nrequires-python = ">=3.10"\n{text}\n{PACKAGES}'.encode())


def manifest_of(text: str, *, file: str = "pyproject.toml", folder: str = "/wine") -> ProjectManifest:
    """A manifest of a project."""
    return ProjectManifest(file=file, folder=folder, table=tomli.loads(f'project.name = "wine"\n[tool.uv]\n{text}'))


def workspace_of(text: str) -> Workspace:
    """A project that is a workspace of its own, with settings in `[tool.uv]`."""
    manifest = manifest_of(text)
    return Workspace(root=manifest, members=(manifest,), settings=manifest)


def parts_of(difference: Difference) -> Expected:
    """A difference without the name of its file."""
    return difference.cause, difference.place.path, difference.what, difference.why


def option(place: tuple[str | int, ...], what: str, made_with: str) -> Expected:
    """The parts of the difference of an option in `[tool.uv]`."""
    what = f"{what} is not what uv.lock was made with"
    return Cause.OPTION, ("tool", "uv", *place), what, f"the lock was made {made_with}"


# lists


@pytest.mark.parametrize(
    ("setting", "key", "cause"),
    [
        ("constraint-dependencies", "constraints", Cause.CONSTRAINT),
        ("override-dependencies", "overrides", Cause.OVERRIDE),
        ("build-constraint-dependencies", "build-constraints", Cause.BUILD_CONSTRAINT),
    ],
)
def test_a_list_of_requirements_is_compared_by_package(setting: str, key: str, cause: Cause) -> None:
    """
    A changed, an added and a removed entry each have their place; one in other words is no difference.
    """
    lock = lock_of(f"""
        [manifest]
        {key} = [
            {{ name = "same", specifier = "<2,>=1" }}, {{ name = "oak", specifier = "<9" }}, {{ name = "cork" }},
        ]
    """)

    found = list_differences(lock, workspace_of(f'{setting} = ["Same>=1,<2", "oak<8", "grape"]'))

    place = ("tool", "uv", setting)
    assert [
        (
            cause,
            (*place, 1),
            f"`oak<8` in {setting} is not what uv.lock was made from",
            "the lock was made from `oak<9`",
        ),
        (cause, (*place, 2), f"`grape` in {setting} is not what uv.lock was made from", "the lock was made without it"),
        (cause, place, f"`cork` was in {setting} when uv.lock was made", "it was removed since"),
    ] == list(map(parts_of, found))


@pytest.mark.parametrize("entry", ['{ name = "oak", git = "https://git.test/oak?rev=v1" }', '{ name = "oak" }'])
def test_a_constraint_may_have_the_source_of_its_package(entry: str) -> None:
    """
    Depending on its version, uv records it with the source or without.
    """
    text = 'constraint-dependencies = ["oak"]\nsources.oak = { git = "https://git.test/oak", rev = "v1" }'

    assert [] == list(list_differences(lock_of(f"[manifest]\nconstraints = [{entry}]"), workspace_of(text)))


def test_a_list_in_a_form_of_a_newer_uv_is_not_compared() -> None:
    """
    uv decides then.
    """
    text = 'constraint-dependencies = [{ name = "oak" }]\nexclude-dependencies = [{ name = "oak" }]'

    assert [] == list(list_differences(lock_of(), workspace_of(text)))


def test_exclusions_are_compared_by_name() -> None:
    """
    One of a package that nothing requires has no effect, and uv does not record it.
    """
    lock = lock_of('[manifest]\nexcludes = ["big-cork", "hop"]')

    found = list_differences(lock, workspace_of('exclude-dependencies = ["Big_Cork", "nothing", "Oak"]'))

    place = ("tool", "uv", "exclude-dependencies")
    assert [
        (Cause.EXCLUDE, (*place, 2), "`Oak` in exclude-dependencies is not in uv.lock", "the lock was made without it"),
        (Cause.EXCLUDE, place, "`hop` was in exclude-dependencies when uv.lock was made", "it was removed since"),
    ] == list(map(parts_of, found))


# options


@pytest.mark.parametrize(
    ("now", "then", "expected"),
    [
        ("", "", None),
        ('resolution = "highest"', "", None),
        ('resolution = "lowest"', 'resolution-mode = "lowest"', None),
        ('prerelease = "if-necessary"', 'prerelease-mode = "if-necessary-or-explicit"', None),
        ("resolution = 3", 'resolution-mode = "lowest"', None),
        ('resolution = "lowest"', "", option(("resolution",), '`resolution = "lowest"`', "without it")),
        (
            'prerelease = "allow"',
            'prerelease-mode = "disallow"',
            option(("prerelease",), '`prerelease = "allow"`', 'with `"disallow"`'),
        ),
        (
            "",
            'fork-strategy = "fewest"',
            option(("fork-strategy",), "`fork-strategy`, which is not set,", 'with `"fewest"`'),
        ),
    ],
)
def test_a_mode_is_compared_with_its_default(now: str, then: str, expected: Expected | None) -> None:
    """
    uv does not record a default.
    """
    found = list(option_differences(lock_of(f"[options]\n{then}"), workspace_of(now)))

    assert ([] if expected is None else [expected]) == list(map(parts_of, found))


NO_NEWER = "`exclude-newer`, which is not set,"


@pytest.mark.parametrize(
    ("now", "then", "expected"),
    [
        ("2026-01-02T03:04:05Z", "2026-01-02T03:04:05Z", None),
        ("2026-01-02T03:04:05+00:00", "2026-01-02T03:04:05Z", None),
        ("2026-01-02T05:04:05+02:00", "2026-01-02T03:04:05Z", None),
        # A date is the end of that day in the time zone of the machine.
        ("2026-01-02", "2026-01-03T00:00:00Z", None),
        ("2026-01-02", "2026-01-02T10:00:00Z", None),
        ("2026-01-02", "2026-01-03T14:00:00Z", None),
        ("soon", "2026-01-02T03:04:05Z", None),
        ("2026-01-02", "2026-01-03T14:00:01Z", "2026-01-03T14:00:01Z"),
        ("2026-01-02T03:04:05Z", "2026-01-02T03:04:06Z", "2026-01-02T03:04:06Z"),
    ],
)
def test_a_date_is_compared_as_a_moment(now: str, then: str, expected: str | None) -> None:
    """
    Whatever the time zone is that it is written in; text that only uv can read is not compared.
    """
    lock = lock_of(f'[options]\nexclude-newer = "{then}"')

    found = option_differences(lock, workspace_of(f'exclude-newer = "{now}"'))

    what = f'`exclude-newer = "{now}"`'
    assert ([] if expected is None else [option(("exclude-newer",), what, f"with `{expected}`")]) == list(
        map(parts_of, found)
    )


@pytest.mark.parametrize(
    ("now", "span", "same"),
    [
        ("7 days", "P7D", True),
        ("1 week", "P1W", True),
        ("1 week, 2 days ago", "P1W2D", True),
        ("1 day 12 hours", "P1DT12H", True),
        ("30 minutes", "PT30M", True),
        ("P7D", "P7D", True),
        ("7 days", "P1W", False),
        ("8 days", "P7D", False),
    ],
)
def test_a_span_is_compared_in_the_form_of_the_lock(now: str, span: str, same: bool) -> None:
    """
    The moment that uv records beside it is another one in each run.
    """
    lock = lock_of(f'[options]\nexclude-newer = "0001-01-01T00:00:00Z"\nexclude-newer-span = "{span}"')

    found = list(option_differences(lock, workspace_of(f'exclude-newer = "{now}"')))

    what = f'`exclude-newer = "{now}"`'
    assert ([] if same else [option(("exclude-newer",), what, f"with `{span}`")]) == list(map(parts_of, found))


def test_a_date_that_only_one_side_has_is_a_difference() -> None:
    """
    Of the whole project and of a package.
    """
    text = 'exclude-newer = "2026-01-02T00:00:00Z"\nexclude-newer-package = { Oak = "2026-01-02T00:00:00Z" }'
    options = '[options]\nexclude-newer = "2026-01-02T00:00:00Z"\nexclude-newer-package = { oak = false }'

    added = list(map(parts_of, option_differences(lock_of(), workspace_of(text))))
    removed = list(map(parts_of, option_differences(lock_of(options), workspace_of(""))))

    assert [
        option(("exclude-newer",), '`exclude-newer = "2026-01-02T00:00:00Z"`', "without it"),
        option(("exclude-newer-package", "Oak"), "`exclude-newer-package` of `oak`", "without it"),
    ] == added
    assert [
        option(("exclude-newer",), NO_NEWER, "with `2026-01-02T00:00:00Z`"),
        option(("exclude-newer-package", "oak"), "`exclude-newer-package` of `oak`, which is not set,", "with `false`"),
    ] == removed


@pytest.mark.parametrize(
    ("rule", "locked", "same"),
    [
        ("", "", True),
        ("", "exclude-newer-package = { oak = false }\n", True),
        ('exclude-newer = "P7D"\n', "exclude-newer-package = { oak = false }\n", True),
        ('exclude-newer = "P7D"\n', "", False),
    ],
)
def test_an_exception_of_a_package_needs_a_rule(rule: str, locked: str, same: bool) -> None:
    """
    Without `exclude-newer` there is nothing to be excepted from, and uv may leave it out of the lock.
    """
    options = rule.replace("exclude-newer", "exclude-newer-span") + locked

    found = list(
        option_differences(lock_of(f"[options]\n{options}"), workspace_of(f"{rule}exclude-newer-package.oak = false\n"))
    )

    expected = option(("exclude-newer-package", "oak"), "`exclude-newer-package` of `oak`", "without it")
    assert ([] if same else [expected]) == list(map(parts_of, found))


@pytest.mark.parametrize(
    ("now", "then", "same"),
    [
        ("[\"sys_platform == 'linux'\"]", "[\"'linux' == sys_platform\"]", True),
        ("[\"sys_platform == 'linux'\"]", "[\"sys_platform == 'linux'\"]", True),
        ("\"sys_platform == 'linux'\"", "[\"sys_platform == 'linux'\"]", True),
        (
            "[\"sys_platform == 'linux'\", \"sys_platform == 'darwin'\"]",
            "[\"sys_platform == 'darwin' or sys_platform == 'linux'\"]",
            True,
        ),
        ("[\"python_version >= '3.9'\"]", "[\"python_version >= '3.8'\"]", True),
        ("[\"sys_platform == 'linux'\"]", "[\"sys_platform == 'darwin'\"]", False),
        ('["planet"]', "[\"sys_platform == 'darwin'\"]", True),
        ("[]", "[\"python_version >= '3.8'\"]", False),
        ("[]", "[\"python_version < '3.9'\"]", False),
    ],
)
@pytest.mark.parametrize(
    ("setting", "key"), [("environments", "supported-markers"), ("required-environments", "required-markers")]
)
def test_environments_are_compared_where_the_project_is_supported(
    setting: str, key: str, now: str, then: str, same: bool
) -> None:
    """
    A list that covers the same places is the same; one that is not there covers every place.
    """
    markers = ", ".join(f"`{marker}`" for marker in tomli.loads(f"a = {then}")["a"])

    found = list(option_differences(lock_of(f"{key} = {then}"), workspace_of(f"{setting} = {now}")))

    expected = option((setting,), f"`{setting}`", f"with {markers}")
    assert ([] if same else [expected]) == list(map(parts_of, found))


# conflicts


@pytest.mark.parametrize(
    ("now", "then"),
    [
        (
            '[[{ extra = "a" }, { group = "B" }]]',
            '[[{ package = "wine", group = "b" }, { package = "wine", extra = "a" }]]',
        ),
        ('[[{ package = "Wine", extra = "a" }]]', '[[{ package = "wine", extra = "a" }]]'),
        ('[[{ package = "wine" }, { package = "oak" }]]', '[[{ package = "oak" }, { package = "wine" }]]'),
    ],
)
def test_a_set_of_conflicts_has_no_order(now: str, then: str) -> None:
    """
    Without a package it is about that of the manifest.
    """
    assert [] == list(option_differences(lock_of(f"conflicts = {then}"), workspace_of(f"conflicts = {now}")))


def test_an_added_and_a_removed_set_of_conflicts_are_differences() -> None:
    """
    The first at its line, the other at the setting, with what it was between.
    """
    lock = lock_of('conflicts = [[{ package = "wine", extra = "b" }, { package = "wine", group = "a" }]]')

    found = option_differences(lock, workspace_of('conflicts = [[{ extra = "c" }, { extra = "d" }]]'))

    assert [
        option(("conflicts", 0), "this set of conflicts", "without it"),
        option(("conflicts",), "`conflicts`", "with one between `a`, `b`"),
    ] == list(map(parts_of, found))


def test_uv_derives_conflicts_for_the_groups_that_include_another() -> None:
    """
    Such a set in the lock was declared for the included group.
    """
    groups = 'dependency-groups = { a = ["oak"], all = [{ include-group = "a" }], b = ["hop"] }'
    text = f'{groups}\n[tool.uv]\nconflicts = [[{{ group = "a" }}, {{ group = "b" }}]]'
    manifest = ProjectManifest(
        file="pyproject.toml", folder="/wine", table=tomli.loads(f'project.name = "wine"\n{text}')
    )
    workspace = Workspace(root=manifest, members=(manifest,), settings=manifest)
    sets = [("a", "b"), ("all", "b")]
    conflicts = ", ".join(
        f'[{{ package = "wine", group = "{one}" }}, {{ package = "wine", group = "{other}" }}]' for one, other in sets
    )

    assert [] == list(option_differences(lock_of(f"conflicts = [{conflicts}]"), workspace))


def test_the_conflicts_of_a_member_are_its_own() -> None:
    """
    The lock has those of all members.
    """
    root = manifest_of("")
    member = ProjectManifest(
        file="packages/oak/pyproject.toml",
        folder="/wine/packages/oak",
        table=tomli.loads('project.name = "oak"\ntool.uv.conflicts = [[{ extra = "a" }, { extra = "b" }]]'),
    )
    workspace = Workspace(root=root, members=(root, member), settings=root)
    locked = 'conflicts = [[{ package = "oak", extra = "a" }, { package = "oak", extra = "b" }]]'

    same = list(option_differences(lock_of(locked), workspace))
    (added,) = option_differences(lock_of(), workspace)

    assert ([], ManifestPlace("packages/oak/pyproject.toml", ("tool", "uv", "conflicts", 0))) == (same, added.place)


# static metadata

METADATA = '[[manifest.dependency-metadata]]\nname = "oak"\nversion = "1.0"\nrequires-dist = ["hop>=1"]'


@pytest.mark.parametrize(
    ("now", "then", "expected"),
    [
        ('{ name = "Oak", version = "1.0.0", requires-dist = ["hop >= 1"] }', METADATA, None),
        ('{ name = "nothing", version = "1" }', "", None),
        (
            '{ name = "oak", version = "1.0" }',
            "",
            option(("dependency-metadata", 0), "`dependency-metadata` of `oak`", "without it"),
        ),
        (
            '{ name = "oak", version = "1.0", requires-dist = ["hop>=2"] }',
            METADATA,
            option(("dependency-metadata", 0), "`dependency-metadata` of `oak`", "without it"),
        ),
        (
            "",
            METADATA,
            option(("dependency-metadata",), "`dependency-metadata`, which no longer has `oak`,", "with it"),
        ),
    ],
    ids=["same", "of no package", "added", "changed", "removed"],
)
def test_static_metadata_is_compared_by_its_content(now: str, then: str, expected: Expected | None) -> None:
    """
    Metadata of a package that is not locked has no effect.
    """
    found = list(option_differences(lock_of(then), workspace_of(f"dependency-metadata = [{now}]")))

    assert ([] if expected is None else [expected]) == list(map(parts_of, found))


def test_options_in_a_uv_toml_have_their_place_there() -> None:
    """
    It takes precedence over `[tool.uv]`.
    """
    root = manifest_of('resolution = "highest"')
    settings = ProjectManifest(file="uv.toml", folder="/wine", table={"resolution": "lowest"})
    workspace = Workspace(root=root, members=(root,), settings=settings, options=())

    (found,) = option_differences(lock_of(), workspace)

    assert ManifestPlace("uv.toml", ("resolution",)) == found.place
