"""What a manifest declares is read as uv reads it: sources applied, groups flattened, dynamic fields unknown."""

from itertools import pairwise
from typing import Any

import pytest
import tomli

from mlflow_uv.core.freshness.causes import ManifestPlace
from mlflow_uv.core.freshness.declared_requirements import (
    ProjectManifest,
    Workspace,
    declared_requirements,
    index_place,
    source_place,
    with_sources,
)
from mlflow_uv.core.freshness.requirement import COPIED, EDITABLE, UNKNOWN, Origin, RequirementScope, parse_requirement

PROJECT = RequirementScope()
LINUX = "sys_platform == 'linux'"


def manifest_of(text: str, *, file: str = "pyproject.toml", folder: str = "/wine") -> ProjectManifest:
    """A manifest."""
    return ProjectManifest(file=file, folder=folder, table=tomli.loads(text))


def workspace_of(
    root: ProjectManifest, *members: ProjectManifest, settings: ProjectManifest | None = None
) -> Workspace:
    """A workspace of a root and its members, with settings in a uv.toml or in the root."""
    options = ("tool", "uv") if settings is None else ()
    return Workspace(root=root, members=(root, *members), settings=settings or root, options=options)


def texts_of(manifest: ProjectManifest, workspace: Workspace | None = None) -> dict[tuple[str, str], list[str]]:
    """The texts of the requirements in each scope."""
    declared = declared_requirements(manifest, workspace or workspace_of(manifest))
    return {
        (scope.kind, scope.name): [requirement.text for requirement in listed]
        for scope, listed in declared.scopes.items()
    }


def origins_of(name: str, manifest: ProjectManifest, workspace: Workspace) -> list[tuple[str, tuple[str, ...], Origin]]:
    """The marker, the replaced markers and the origin of each entry of a requirement without extras."""
    requirement = parse_requirement(name, ManifestPlace(manifest.file, ()), manifest.folder)
    assert requirement is not None
    entries = with_sources(requirement, PROJECT, manifest, workspace)
    return [(entry.marker, entry.unless, entry.origin) for entry in entries]


def test_tables_and_lists_are_empty_where_a_manifest_has_something_else() -> None:
    """
    uv reports the mistake; a comparison does not fail.
    """
    manifest = manifest_of('a = 1\nproject = { name = "Big_Wine", dynamic = ["version", 3] }\n')

    found: list[object] = [manifest.get("a", "b"), manifest.table_at("a"), manifest.list_at("project")]

    assert [None, {}, [], "big-wine", frozenset({"version"})] == [*found, manifest.name, manifest.dynamic]


@pytest.mark.parametrize("text", ["", "[project]\nname = 3\n", "project = 3\n"])
def test_a_manifest_without_a_name_has_none(text: str) -> None:
    """
    That of a virtual workspace, for example.
    """
    assert "" == manifest_of(text).name


def test_each_list_of_requirements_is_a_scope() -> None:
    """
    Names of extras and groups are normalised; what is no requirement is left out.
    """
    manifest = manifest_of("""
        [project]
        dependencies = ["grape", ">=1", 3]
        [project.optional-dependencies]
        Red_One = ["oak"]
        [dependency-groups]
        Dev_Tools = ["cork"]
        empty = []
    """)

    assert {
        ("", ""): ["grape"],
        ("extra", "red-one"): ["oak"],
        ("group", "dev-tools"): ["cork"],
        ("group", "empty"): [],
    } == texts_of(manifest)


@pytest.mark.parametrize(
    ("field", "unknown", "scopes"),
    [
        ("dependencies", {"", "extra"}, {("group", "dev")}),
        ("optional-dependencies", {"", "extra"}, {("group", "dev")}),
        ("version", set(), {("", ""), ("extra", "a"), ("group", "dev")}),
    ],
)
def test_a_dynamic_list_is_unknown(field: str, unknown: set[str], scopes: set[tuple[str, str]]) -> None:
    """
    A build determines the dependencies and the extras together; groups are always static.
    """
    manifest = manifest_of(f"""
        project = {{ dynamic = ["{field}"], dependencies = ["grape"], optional-dependencies = {{ a = ["oak"] }} }}
        dependency-groups = {{ dev = ["cork"] }}
    """)

    declared = declared_requirements(manifest, workspace_of(manifest))

    assert (unknown, scopes) == (set(declared.unknown), {(scope.kind, scope.name) for scope in declared.scopes})


def test_the_older_list_of_dev_dependencies_belongs_to_the_group_dev() -> None:
    """
    After those of the group itself.
    """
    manifest = manifest_of('dependency-groups = { dev = ["cork"] }\ntool.uv.dev-dependencies = ["oak"]\n')

    assert {("group", "dev"): ["cork", "oak"]} == texts_of(manifest)


# groups


def test_a_group_has_the_requirements_of_the_groups_that_it_includes() -> None:
    """
    Each once, with the place of the include; the place of a requirement is where it is declared.
    """
    manifest = manifest_of("""
        [dependency-groups]
        base = ["grape"]
        middle = [{ include-group = "BASE" }, "oak"]
        top = ["cork", { include-group = "middle" }, { include-group = "base" }]
    """)

    declared = declared_requirements(manifest, workspace_of(manifest)).scopes[RequirementScope("group", "top")]

    def at(*path: str | int) -> ManifestPlace:
        return ManifestPlace("pyproject.toml", ("dependency-groups", *path))

    assert [
        ("cork", at("top", 0), None),
        ("oak", at("middle", 1), at("top", 1)),
        ("grape", at("base", 0), at("top", 1)),
    ] == [(requirement.text, requirement.place, requirement.via) for requirement in declared]


def test_a_cycle_of_groups_and_an_unknown_group_are_cut() -> None:
    """
    uv reports both.
    """
    manifest = manifest_of("""
        [dependency-groups]
        a = ["grape", { include-group = "b" }]
        b = ["oak", { include-group = "a" }]
        c = ["cork", { include-group = "nowhere" }, { exclude-group = "a" }]
    """)

    assert ["grape", "oak"] == texts_of(manifest)["group", "a"]
    assert ["cork"] == texts_of(manifest)["group", "c"]


def test_a_long_chain_of_groups_is_flattened() -> None:
    """
    Longer than Python's stack.
    """
    names = [f"g{number}" for number in range(3000)]
    table = {name: [{"include-group": other}] for name, other in pairwise(names)}
    groups: dict[str, list[Any]] = {**table, names[-1]: ["grape"]}
    manifest = ProjectManifest(file="pyproject.toml", folder="/wine", table={"dependency-groups": groups})

    assert ["grape"] == texts_of(manifest)["group", "g0"]


def test_the_pythons_of_a_group_are_a_marker_of_its_requirements() -> None:
    """
    Together with the marker of each; an invalid range makes them incomparable.
    """
    manifest = manifest_of("""
        [dependency-groups]
        Dev = ["grape", "oak ; sys_platform == 'linux'"]
        odd = ["cork"]
        [tool.uv.dependency-groups]
        dev = { requires-python = ">=3.12, <4" }
        odd = { requires-python = "planet" }
    """)

    scopes = declared_requirements(manifest, workspace_of(manifest)).scopes

    python = "python_full_version >= '3.12' and python_full_version < '4'"
    assert [python, f'(sys_platform == "linux") and ({python})'] == [
        requirement.marker for requirement in scopes[RequirementScope("group", "dev")]
    ]
    assert [True] == [requirement.opaque for requirement in scopes[RequirementScope("group", "odd")]]


# sources


@pytest.mark.parametrize(
    ("source", "origin"),
    [
        ('{ git = "https://git.test/hop", tag = "v1" }', Origin("git", "https://git.test/hop", "tag=v1#")),
        (
            '{ git = "https://git.test/hop", subdirectory = "below" }',
            Origin("git", "https://git.test/hop", "#below"),
        ),
        ('{ url = "https://user@a.test/x.whl" }', Origin("url", "https://a.test/x.whl")),
        ('{ path = "../hop" }', Origin("path", "/hop", COPIED)),
        ('{ path = "../hop", editable = true }', Origin("path", "/hop", EDITABLE)),
        ('{ index = "own" }', Origin("index", "https://own.test/simple")),
        ('{ index = "nowhere" }', UNKNOWN),
        ("{ workspace = true }", Origin("path", "/wine/packages/hop")),
        ("{ workspace = true, editable = false }", Origin("path", "/wine/packages/hop", COPIED)),
        ("{ moon = true }", Origin("index")),
    ],
)
def test_a_source_gives_the_origin(source: str, origin: Origin) -> None:
    """
    Of each kind that uv has.
    """
    root = manifest_of(
        f'tool.uv.sources.Hop = {source}\ntool.uv.index = [{{ name = "own", url = "https://key@own.test/simple/" }}]\n'
    )
    member = manifest_of('project.name = "hop"\n', file="packages/hop/pyproject.toml", folder="/wine/packages/hop")

    assert [("", (), origin)] == origins_of("hop", root, workspace_of(root, member))


def test_a_member_that_does_not_exist_has_an_unknown_origin() -> None:
    """
    uv reports it.
    """
    root = manifest_of("tool.uv.sources.hop = { workspace = true }\n")

    assert [("", (), UNKNOWN)] == origins_of("hop", root, workspace_of(root))


def test_sources_with_markers_leave_the_index_for_the_others() -> None:
    """
    One entry each, and one for where none of the markers holds; none where one source has no marker.
    """
    root = manifest_of(f"""
        [tool.uv.sources]
        hop = [{{ path = "../hop", marker = "{LINUX}" }}, {{ url = "https://a.test/x.whl", marker = "{LINUX}" }}]
        oak = [{{ path = "../oak", marker = "{LINUX}" }}, {{ url = "https://a.test/x.whl" }}]
    """)
    workspace = workspace_of(root)
    wheel = Origin("url", "https://a.test/x.whl")

    assert [
        (LINUX, (), Origin("path", "/hop", COPIED)),
        (LINUX, (), wheel),
        ("", (LINUX, LINUX), Origin("index")),
    ] == origins_of("hop", root, workspace)
    assert [(LINUX, (), Origin("path", "/oak", COPIED)), ("", (), wheel)] == origins_of("oak", root, workspace)


def test_a_source_with_an_unreadable_marker_is_incomparable() -> None:
    """
    uv decides then.
    """
    root = manifest_of("project.dependencies = ['hop']\ntool.uv.sources.hop = { path = 'x', marker = 'planet' }\n")

    (requirement,) = declared_requirements(root, workspace_of(root)).scopes[PROJECT]

    assert (True, Origin("index")) == (requirement.opaque, requirement.origin)


@pytest.mark.parametrize(
    ("limit", "scopes"),
    [
        ('extra = "Red"', [("extra", "red")]),
        ('group = "dev"', [("group", "dev")]),
        ('extra = "white"', []),
    ],
)
def test_a_source_of_an_extra_or_group_applies_there_alone(limit: str, scopes: list[tuple[str, str]]) -> None:
    """
    Elsewhere the package comes from an index.
    """
    root = manifest_of(f"""
        project = {{ dependencies = ["hop"], optional-dependencies = {{ red = ["hop"] }} }}
        dependency-groups = {{ dev = ["hop"] }}
        tool.uv.sources.hop = [{{ path = "../hop", {limit} }}]
    """)

    declared = declared_requirements(root, workspace_of(root)).scopes

    assert scopes == [
        tuple(scope) for scope, listed in declared.items() if any(entry.origin.kind == "path" for entry in listed)
    ]


def test_a_members_own_source_goes_before_the_roots() -> None:
    """
    A project outside the workspace has its own alone.
    """
    root = manifest_of("tool.uv.sources = { hop = { path = '../hop' }, oak = { path = '../oak' } }\n")
    text = "tool.uv.sources.hop = { path = 'hop' }\n"
    member = manifest_of(text, file="packages/a/pyproject.toml", folder="/wine/packages/a")
    workspace = workspace_of(root, member)
    neighbour = manifest_of("", file="../b/pyproject.toml", folder="/b")

    def place(name: str, manifest: ProjectManifest) -> ManifestPlace | None:
        return source_place(name, manifest, workspace)

    assert [
        ManifestPlace("packages/a/pyproject.toml", ("tool", "uv", "sources", "hop")),
        ManifestPlace("pyproject.toml", ("tool", "uv", "sources", "oak")),
        None,
        None,
    ] == [place("hop", member), place("oak", member), place("cork", member), place("oak", neighbour)]
    assert [("", (), Origin("path", "/wine/packages/a/hop", COPIED))] == origins_of("hop", member, workspace)


def test_an_index_is_found_in_the_manifest_that_names_it_then_in_the_settings() -> None:
    """
    With the place of its address; a path is that of the file that has it.
    """
    root = manifest_of('tool.uv.index = [{ name = "own", url = "https://root.test" }, { name = "none" }]\n')
    settings = manifest_of('index = [{ url = "https://a.test" }, { name = "own", url = "./own" }]\n', file="uv.toml")
    text = 'tool.uv.index = [{ name = "own", url = "indexes" }]\n'
    member = manifest_of(text, file="packages/a/pyproject.toml", folder="/wine/packages/a")
    plain, with_file = workspace_of(root, member), workspace_of(root, member, settings=settings)

    assert [
        (ManifestPlace("packages/a/pyproject.toml", ("tool", "uv", "index", 0, "url")), "/wine/packages/a/indexes"),
        (ManifestPlace("pyproject.toml", ("tool", "uv", "index", 0, "url")), "https://root.test"),
        (ManifestPlace("uv.toml", ("index", 1, "url")), "/wine/own"),
        None,
        None,
    ] == [
        index_place("own", member, plain),
        index_place("own", root, plain),
        index_place("own", settings, with_file),
        index_place("none", root, plain),
        index_place("other", member, with_file),
    ]
