"""Each rule of a step has a hook that runs the step with the rule."""

from mlflow_uv.command.step import fields_of
from mlflow_uv.steps.catalog import all_steps


def test_hooks_of_rules_have_names_and_inputs_of_their_step() -> None:
    """
    pre-commit finds a hook by its id, and the step gets inputs that it has.
    """
    hooks = [(step, hook) for step in all_steps() for hook in step.rule_hooks]

    assert len({hook.id for _, hook in hooks}) == len(hooks) > 0
    assert all(hook.id.startswith(f"{step.name}-") for step, hook in hooks)
    assert all(set(hook.inputs) <= {field.kebab for field in fields_of(step.inputs)} for step, hook in hooks)
