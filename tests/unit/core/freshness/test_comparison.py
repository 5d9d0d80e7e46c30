"""Requirements of a manifest and of its lock are compared by scope; each difference has its place and its reason."""

from collections.abc import Mapping
from typing import Any

import pytest
import tomli
from packaging.specifiers import SpecifierSet

from mlflow_uv.core.freshness.causes import Cause, Difference, ManifestPlace
from mlflow_uv.core.freshness.comparison import Comparison
from mlflow_uv.core.freshness.declared_requirements import ProjectManifest, Workspace
from mlflow_uv.core.freshness.requirement import RequirementScope, parse_locked_requirement

from .workspaces import workspace_of

PROJECT, RED, DEV = RequirementScope(), RequirementScope("extra", "red"), RequirementScope("group", "dev")
TWO_INDEXES = 'index = [{ name = "a", url = "https://a.test" }, { name = "b", url = "https://b.test" }]'
Entries = Mapping[RequirementScope, list[dict[str, Any]]]


def compared(workspace: Workspace, then: Entries, manifest: ProjectManifest | None = None) -> list[Difference]:
    """The differences of a manifest from what the lock recorded."""
    recorded = {
        scope: tuple(parse_locked_requirement({"name": "grape", **entry}, "/wine") for entry in entries)
        for scope, entries in then.items()
    }
    comparison = Comparison(manifest or workspace.root, workspace, SpecifierSet(">=3.10"))
    return list(comparison.run(recorded))


def at(*path: str | int) -> ManifestPlace:
    """A place in pyproject.toml."""
    return ManifestPlace("pyproject.toml", path)


@pytest.mark.parametrize(
    ("text", "then", "expected"),
    [
        ('project.dependencies = ["grape>=1"]', {PROJECT: [{"specifier": ">=1"}]}, None),
        (
            'project.dependencies = ["oak", "grape>=2"]',
            {PROJECT: [{"name": "oak"}]},
            (
                Cause.REQUIREMENT_ADDED,
                at("project", "dependencies", 1),
                "`grape>=2` in [project] dependencies is not in uv.lock",
                "the lock was made without it",
            ),
        ),
        (
            "project.dependencies = []",
            {PROJECT: [{"specifier": ">=1"}, {"specifier": "<2", "marker": "os_name == 'nt'"}]},
            (
                Cause.REQUIREMENT_REMOVED,
                at("project", "dependencies"),
                "`grape>=1` and `grape<2 ; os_name == 'nt'` was in [project] dependencies when uv.lock was made",
                "it was removed since",
            ),
        ),
        (
            'project.optional-dependencies.Red = ["grape>=2"]\nproject.dependencies = []',
            {PROJECT: [], RED: [{"specifier": ">=1", "marker": "extra == 'red'"}]},
            (
                Cause.REQUIREMENT_CHANGED,
                at("project", "optional-dependencies", "Red", 0),
                "`grape>=2` in extra `red` is not what uv.lock was made from",
                "the lock was made from `grape>=1 ; extra == 'red'`",
            ),
        ),
        (
            'dependency-groups.Dev = ["grape>=1", "grape<3"]',
            {DEV: [{"specifier": ">=1"}, {"specifier": "<2"}]},
            (
                Cause.REQUIREMENT_CHANGED,
                at("dependency-groups", "Dev", 1),
                "`grape<3` in group `dev` is not what uv.lock was made from",
                "the lock was made from `grape>=1` and `grape<2`",
            ),
        ),
        (
            "project.optional-dependencies.Red = []\nproject.dependencies = []",
            {PROJECT: []},
            (
                Cause.REQUIREMENT_ADDED,
                at("project", "optional-dependencies", "Red"),
                "extra `red` is not in uv.lock",
                "the lock was made without it",
            ),
        ),
        (
            "project.dependencies = []",
            {PROJECT: [], DEV: []},
            (
                Cause.REQUIREMENT_REMOVED,
                at("dependency-groups", "dev"),
                "group `dev` was removed",
                "uv.lock was made with it",
            ),
        ),
    ],
    ids=["same", "added", "removed", "changed", "one of two", "empty extra", "removed group"],
)
def test_a_difference_has_its_cause_its_place_and_its_reason(
    text: str, then: Entries, expected: tuple[Cause, ManifestPlace, str, str] | None
) -> None:
    """
    At the line that declares it, or at the list that it was in.
    """
    found = compared(workspace_of(text), then)

    assert ([] if expected is None else [expected]) == [
        (difference.cause, difference.place, difference.what, difference.why) for difference in found
    ]


def test_a_requirement_of_an_included_group_is_reported_where_it_is_declared() -> None:
    """
    Once, and not for each group that includes it.
    """
    text = 'dependency-groups = { base = ["grape>=2"], dev = [{ include-group = "base" }] }'
    base = RequirementScope("group", "base")

    found = compared(workspace_of(text), {base: [{"specifier": ">=1"}], DEV: [{"specifier": ">=1"}]})

    assert [(Cause.REQUIREMENT_CHANGED, at("dependency-groups", "base", 0))] == [
        (difference.cause, difference.place) for difference in found
    ]


def test_a_group_that_newly_includes_another_is_reported_at_the_include() -> None:
    """
    The group with the declaration is in the lock already.
    """
    text = 'dependency-groups = { base = ["grape"], dev = [{ include-group = "base" }] }'
    base = RequirementScope("group", "base")

    found = compared(workspace_of(text), {base: [{}], DEV: []})

    assert [(Cause.REQUIREMENT_ADDED, at("dependency-groups", "dev", 0))] == [
        (difference.cause, difference.place) for difference in found
    ]


@pytest.mark.parametrize(
    ("text", "entry", "cause", "place", "what", "why"),
    [
        (
            'sources.grape = { git = "https://git.test/grape", tag = "v2" }',
            {"git": "https://git.test/grape?tag=v1"},
            Cause.SOURCE,
            at("tool", "uv", "sources", "grape"),
            "git `https://git.test/grape` (tag=v2)",
            "git `https://git.test/grape` (tag=v1)",
        ),
        (
            "",
            {"directory": "../grape"},
            Cause.SOURCE,
            at("project", "dependencies", 0),
            "the default indexes",
            "`/grape` (copied)",
        ),
        (
            'sources.grape = { index = "own" }\nindex = [{ name = "own", url = "https://new.test" }]',
            {"index": "https://old.test"},
            Cause.INDEX,
            at("tool", "uv", "index", 0, "url"),
            "the index `https://new.test`",
            "the index `https://old.test`",
        ),
        (
            f'{TWO_INDEXES}\nsources.grape = {{ index = "b" }}',
            {"index": "https://a.test"},
            Cause.SOURCE,
            at("tool", "uv", "sources", "grape"),
            "the index `https://b.test`",
            "the index `https://a.test`",
        ),
    ],
    ids=["tag", "source removed", "index moved", "another index"],
)
def test_another_source_is_reported_where_it_is_declared(
    text: str, entry: dict[str, Any], cause: Cause, place: ManifestPlace, what: str, why: str
) -> None:
    """
    An index whose address changed at the index, since every package from it differs.
    """
    workspace = workspace_of(f'project.dependencies = ["grape"]\n[tool.uv]\n{text}')

    found = compared(workspace, {PROJECT: [entry]})

    assert [
        Difference(
            cause=cause,
            place=place,
            what=f"`grape` comes from {what}, which is not what uv.lock was made from",
            why=f"the lock was made with {why}",
        )
    ] == found


def test_a_dynamic_list_is_not_compared() -> None:
    """
    Only a build determines it; the groups are compared.
    """
    text = 'project.dynamic = ["dependencies"]\ndependency-groups.dev = ["oak"]'

    found = compared(workspace_of(text), {PROJECT: [{}], RED: [{}], DEV: []})

    assert ["`oak` in group `dev` is not in uv.lock"] == [difference.what for difference in found]


def test_the_groups_of_a_project_outside_the_workspace_may_be_missing_in_the_lock() -> None:
    """
    uv records only those that a member uses.
    """
    root = workspace_of("").root
    text = 'project.dependencies = ["oak"]\ndependency-groups = { dev = ["grape"], docs = ["grape>=2"] }'
    neighbour = ProjectManifest(file="../b/pyproject.toml", folder="/b", table=tomli.loads(text))
    workspace = Workspace(root=root, members=(root,), neighbours=(neighbour,), settings=root)
    docs = RequirementScope("group", "docs")

    found = compared(workspace, {docs: [{"specifier": ">=1"}]}, neighbour)

    assert [
        ("`oak` in [project] dependencies is not in uv.lock", ("project", "dependencies", 0)),
        ("`grape>=2` in group `docs` is not what uv.lock was made from", ("dependency-groups", "docs", 0)),
    ] == [(difference.what, difference.place.path) for difference in found]
