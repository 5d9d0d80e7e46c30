"""Renders action.yml, the hooks' manifest, the list of settings and the reference from the steps' declarations."""

import argparse
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from ..command import errors
from ..command.step import Field, FieldKind, SettingReach, Step, fields_of
from ..core.card.statements import CardStatements
from ..core.deploy.settings import KINDS
from ..core.lint.catalog import rules
from ..core.lint.settings import LintSettings
from ..core.model.budgets import Budgets
from ..core.policy.policy import LockPolicy
from ..core.promotion.promote_policy import PromotePolicy
from ..core.security.yaml_scalars import quoted_yaml, single_quoted_yaml
from ..core.signing.trust_policy import TrustPolicy
from ..steps.catalog import RELEASE_NAME, all_steps, step_of
from . import badges
from .cli import SARIF

_LIMITS = {
    SettingReach.WRITTEN: "In `[tool.mlflow-uv]`: only a path in the project.",
    SettingReach.DISCLOSED: "In `[tool.mlflow-uv]`: only a path in the repository.",
    SettingReach.SERVER: "In `[tool.mlflow-uv]`: only the server that the job names, or one that gets no credentials.",
    SettingReach.BUILD_CACHE: "In `[tool.mlflow-uv]`: only a registry reference.",
    SettingReach.VARIABLES: (
        "In `[tool.mlflow-uv]`: no variable that grants permissions on the CI platform, a package index or a store."
    ),
}
NOTE = "Rendered by `bin/mlflow-uv render` from the steps in src/mlflow_uv: edit those."


def rendered() -> dict[str, str]:
    """Every rendered file by its path in the repository."""
    release = step_of(RELEASE_NAME)
    files = {"action.yml": _action(release, up=""), "action-types.yml": _types(release)}
    for step in all_steps():
        files[f"actions/{step.name}/action.yml"] = _action(step, up="/../..")
        files[f"actions/{step.name}/action-types.yml"] = _types(step)
    files[".pre-commit-hooks.yaml"] = _hooks()
    files["docs/reference.md"] = _reference()
    files["src/mlflow_uv/command/settings.py"] = _settings()
    return files | badges.pictures()


def main(argv: Sequence[str]) -> int:
    """Write every rendered file below the folder that is named, or the current one."""
    parser = argparse.ArgumentParser(prog="mlflow-uv render", description="Write what is rendered from the steps.")
    parser.add_argument("folder", nargs="?", type=Path, default=Path(), help="the repository, which is there")
    folder: Path = parser.parse_args(argv).folder
    if not folder.is_dir():
        parser.error(f"`{folder}` is not a folder")
    for name, text in rendered().items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return 0


def _action(step: Step[Any, Any, Any], *, up: str) -> str:
    title = "mlflow-uv" if step.name == RELEASE_NAME else f"mlflow-uv {step.name}"
    lines = [f"# {NOTE}", f"name: {title}", f"description: {quoted_yaml(step.summary)}", "author: mlflow-uv-action"]
    lines += ["branding:", "  icon: package", "  color: blue", "", "inputs:"]
    for field in fields_of(step.inputs):
        lines += [f"  {field.kebab}:", f"    description: {quoted_yaml(_described(field))}", "    required: false"]
        lines.append(f"    default: {quoted_yaml('.' if field.name == 'project' else '')}")
    lines += ["  sarif:", f"    description: {quoted_yaml(SARIF)}", "    required: false", '    default: ""']
    lines += ["", "outputs:"]
    for field in fields_of(step.outputs):
        value = f"${{{{ steps.run.outputs.{field.kebab} }}}}"
        lines += [f"  {field.kebab}:", f"    description: {quoted_yaml(field.doc)}", f"    value: {value}"]
    lines += [
        "",
        "runs:",
        "  using: composite",
        "  steps:",
        "    - id: run",
        "      shell: bash",
        # The runner signals the shell alone: exec makes us that process, so that a cancelled job cleans up.
        f"      run: 'exec \"$GITHUB_ACTION_PATH{up}/bin/mlflow-uv\" github {step.name}'",
        "      env:",
        "        MLFLOW_UV_INPUTS: ${{ toJSON(inputs) }}",
    ]
    return "\n".join(lines) + "\n"


def _types(step: Step[Any, Any, Any]) -> str:
    """The types of an action's inputs and outputs (https://github.com/typesafegithub/github-actions-typing)."""
    lines = [f"# {NOTE}", "inputs:"]
    for field in fields_of(step.inputs):
        lines += [f"  {field.kebab}:", *(f"    {line}" for line in _type(field))]
    lines += ["  sarif:", "    type: string", "outputs:"]
    for field in fields_of(step.outputs):
        lines += [f"  {field.kebab}:", "    type: string"]  # each is the text of a JSON value
    return "\n".join(lines) + "\n"


def _type(field: Field) -> tuple[str, ...]:
    match field.kind:
        case FieldKind.SWITCH:
            return ("type: boolean",)
        case FieldKind.NUMBER:
            return ("type: integer",) if field.whole else ("type: float",)
        case FieldKind.CHOICE:
            return ("type: enum", "allowed-values:", *(f"  - {quoted_yaml(choice)}" for choice in field.choices))
        case FieldKind.LIST:
            return ("type: list", "separator: ','", "list-item:", "  type: string")
    return ("type: string",)


def _described(field: Field) -> str:
    default = field.default_text
    return f"{field.doc} Default: {default}." if default and field.name != "project" else field.doc


def _hooks() -> str:
    lines = [f"# {NOTE}"]
    for step in all_steps():
        if step.hook is not None:
            lines += _hook(step.name, step.hook.name, step.summary, step.hook.files)
        for hook in step.rule_hooks:
            lines += _hook(hook.id, hook.name, hook.summary, hook.files)
    return "\n".join(lines) + "\n"


def _hook(name: str, title: str, summary: str, files: str) -> tuple[str, ...]:
    return (
        f"- id: {name}",
        f"  name: {quoted_yaml(title)}",
        f"  description: {quoted_yaml(summary)}",
        f"  entry: python -I -m mlflow_uv_hooks {name}",
        "  language: python",
        f"  files: {single_quoted_yaml(files)}",
        "  require_serial: true",
        "  minimum_pre_commit_version: 3.2.0",
    )


def _settings() -> str:
    """The names of all settings as a module of their own: importing the steps to collect them takes 100 ms."""
    keys = sorted(
        {
            "deploy",
            "lint",
            "model-card",
            "policy",
            "promote",
            "smoke-test",
            "trust",
            *(field.kebab for step in all_steps() for field in fields_of(step.inputs) if field.setting),
        }
    )
    of_lock = sorted({"policy", *(field.kebab for field in fields_of(step_of("check-lock").inputs) if field.setting)})
    lines = [f"# {NOTE}", '"""Every key that `[tool.mlflow-uv]` may hold, and those that check-lock reads."""']
    return "\n".join((*lines, *_frozenset("KEYS", keys), *_frozenset("CHECK_LOCK_KEYS", of_lock), ""))


def _frozenset(name: str, words: Iterable[str]) -> tuple[str, ...]:
    return ("", f"{name} = frozenset(", "    {", *(f"        {json.dumps(word)}," for word in words), "    }", ")")


def _reference() -> str:
    parts = [f"<!-- {NOTE} -->\n", "# Reference\n"]
    never_empty = (
        f"`--{field.kebab}` of `{step.name}`"
        for step in all_steps()
        for field in fields_of(step.inputs)
        if field.refuses_empty
    )
    parts.append(
        "Every step is a command (`mlflow-uv STEP --input VALUE`) and an action (`uses: …/actions/STEP`; the action at"
        " the root runs the whole release), and some are pre-commit hooks. An input overrides the same key of"
        " `[tool.mlflow-uv]` in pyproject.toml, which overrides the default. An empty value counts as not given;"
        f" as flags, {' and '.join(never_empty)} refuse it. A note in italics limits the values of that key: see"
        " [what a checkout may decide](threat-model.md#what-a-checkout-may-decide).\n"
    )
    for step in all_steps():
        parts.append(f"## {step.name}\n")
        parts.append(step.summary + _hook_note(step) + "\n")
        parts.append("".join(_table("input", fields_of(step.inputs))))
        parts.append("".join(_table("output", fields_of(step.outputs))))
    parts.append("## Inputs of every step\n")
    parts.append(f"| input | meaning |\n|---|---|\n| `sarif` | {SARIF} |\n")
    parts.append("## Policy\n")
    parts.append(
        "Rules for the lock, set in `[tool.mlflow-uv.policy]` of pyproject.toml and checked by check-lock. Rules of the"
        " workspace root apply to the whole lock, rules of a member to the packages that the member serves. A finding"
        " is named after its rule, such as `policy-require-hashes`.\n"
    )
    parts.append("".join(_table("rule", fields_of(LockPolicy))))
    parts.append("## Gates\n")
    parts.append(
        "What promote requires of a version, set in `[tool.mlflow-uv.promote]` of pyproject.toml. Whatever is set"
        " there, the chain must hold and the version must be tested.\n"
    )
    parts.append("".join(_table("rule", fields_of(PromotePolicy))))
    parts.append("## Trust\n")
    parts.append(
        "Whose signatures of a version count, set in `[tool.mlflow-uv.trust]` of pyproject.toml, or in the variable"
        " `MLFLOW_UV_TRUST` of the job, which replaces the table unless it is `checkout`. See"
        " [signing](signing.md#whom-a-project-trusts).\n"
    )
    parts.append("".join(_table("setting", fields_of(TrustPolicy))))
    parts.append("## Rules of lint\n")
    parts.append(
        "What lint checks. A finding and a hook are named after its rule, such as `lint-tracking-uri`; each rule has a"
        " page.\n"
    )
    parts.append("".join(_rules()))
    parts.append("Settings in `[tool.mlflow-uv.lint]` of pyproject.toml:\n")
    parts.append("".join(_table("setting", fields_of(LintSettings))))
    parts.append("## Budgets\n")
    parts.append(
        "What smoke-test requires of the server that it starts, set in `[tool.mlflow-uv.smoke-test]` of pyproject.toml."
        " A finding is named after its budget, such as `budget-p95-milliseconds`.\n"
    )
    parts.append("".join(_table("setting", fields_of(Budgets))))
    parts.append("## Statements of a model card\n")
    parts.append(
        "What model-card cannot find out, set in `[tool.mlflow-uv.model-card]` of pyproject.toml. It is read from the"
        " pyproject.toml that is stored in the model.\n"
    )
    parts.append("".join(_table("setting", fields_of(CardStatements))))
    parts.append("## Deployments\n")
    parts.append(
        "The settings of a deployment, set in `[tool.mlflow-uv.deploy.NAME]` of pyproject.toml and read by deploy. Each"
        " kind of target has its own.\n"
    )
    for kind, record in KINDS.items():
        parts.append(f'For `target = "{kind}"`:\n')
        parts.append("".join(_table("setting", fields_of(record))))
    parts.append("## Exit codes\n")
    parts.append("".join(_codes()))
    return "\n".join(parts)


def _hook_note(step: Step[Any, Any, Any]) -> str:
    if step.rule_hooks:
        return " Also a pre-commit hook, and one for each rule."
    return " Also a pre-commit hook." if step.hook else ""


def _table(kind: str, fields: Sequence[Field]) -> Iterator[str]:
    if not fields:
        return
    default = " default |" if kind == "input" else ""
    yield f"| {kind} | meaning |{default}\n|---|---|{'---|' if default else ''}\n"
    for field in fields:
        choices = f" One of {', '.join(f'`{choice}`' for choice in field.choices)}." if field.choices else ""
        lists = {"input": " Names, separated by commas or spaces.", "rule": " A list.", "setting": " A list."}
        names = lists.get(kind, "") if field.kind is FieldKind.LIST else ""
        value = f" {f'`{field.default_text}`' if field.default_text else ''} |" if kind == "input" else ""
        limit = f" *{_LIMITS[field.reach]}*" if field.reach else ""
        yield f"| `{field.kebab}` | {field.doc}{choices}{names}{limit} |{value}\n"


def _rules() -> Iterator[str]:
    yield "| rule | finds |\n|---|---|\n"
    for rule in rules():
        note = " Optional." if rule.optional else ""
        yield f"| [`{rule.name}`](rules/{rule.name}.md) | {rule.summary}{note} |\n"


def _codes() -> Iterator[str]:
    yield "| code | kind | meaning |\n|---:|---|---|\n"
    yield "| 0 | | all is well |\n| 1 | | there are findings, each with its fix |\n"
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.StepError)]
    for kind in sorted(kinds, key=lambda kind: kind.exit_code):
        if kind is not errors.StepError:
            yield f"| {kind.exit_code} | `{kind.__name__}` | {kind.meaning} |\n"
    yield "| 130, 143 | | cancelled by Ctrl-C, by SIGTERM |\n"


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
