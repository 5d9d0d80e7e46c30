"""Selects the model to release among those that a training or a run logged."""

from collections.abc import Iterable

from ...command.errors import ModelNotFound
from ...command.report import Console
from ...command.wording import Wording, option
from ...payloads.messages.models import FoundModels, LoggedModelDescription
from ...payloads.messages.runs import RunDescription

_SHOWN_MODELS = 10
_SHOWN_METRICS = 4


def choose(logged: FoundModels, model_name: str | None, console: Console) -> LoggedModelDescription:
    """
    Return the only model, or the only one with that name; among several, the one that training registered itself.

    Raises ModelNotFound that lists what there is.
    """
    ready = [model for model in logged.models if model.status == "READY"]
    if not ready:
        raise ModelNotFound(
            what="training logged no model",
            why=f"it started {len(logged.runs)} runs, none with a finished model",
            fix=Wording(
                "call mlflow.<flavor>.log_model(...) in it; if it sets its own tracking URI, set ",
                option("tracking-uri", "URI"),
            ),
        )
    candidates = [model for model in ready if model_name in (None, model.name)]
    if not candidates:
        raise ModelNotFound(what=f"training logged no model called `{model_name}`", why=f"it logged {_names(ready)}")
    if len(candidates) == 1:
        return candidates[0]
    registered = {version.model_id: version for version in logged.versions}
    if len(chosen := [model for model in candidates if model.model_id in registered]) == 1:
        version = registered[chosen[0].model_id]
        console.say(
            f"of {len(candidates)} models the one that training registered is released:"
            f" {chosen[0].model_id}, which is version {version.version} of {version.name}"
        )
        return chosen[0]
    raise _not_unique(candidates, logged.runs, registered=len(chosen))


def _not_unique(
    candidates: list[LoggedModelDescription], runs: Iterable[RunDescription], *, registered: int
) -> ModelNotFound:
    """Build the error that lists the candidates; models with equal names are distinguished by id."""
    names = {model.name for model in candidates}
    by_id = {run.run_id: run for run in runs}
    listed = [_described(model, by_id.get(model.run_id or "")) for model in candidates[-_SHOWN_MODELS:]]
    left_out = len(candidates) - len(listed)
    listed += [f"and {left_out} before these"] if left_out else []
    registered_note = f"{registered} of them are registered; " if registered else ""
    if len(names) == len(candidates):
        fix = Wording(option("logged-model", "NAME"), ", or ", option("from-model", "ID"))
    else:
        fix = Wording(
            option("from-model", "ID"),
            "; or let training register the one that is released (`registered_model_name=`), and no other",
        )
    return ModelNotFound(
        what=f"training logged {len(candidates)} models",
        why=f"they are called {_names(candidates)}; choose the one to release: {registered_note}{'; '.join(listed)}",
        fix=fix,
    )


def _described(model: LoggedModelDescription, run: RunDescription | None) -> str:
    """Return id, name, run and metrics of a model as text."""
    text = f"{model.model_id} `{model.name}`"
    if run is None:
        return text
    metrics = sorted(run.metrics.items())[:_SHOWN_METRICS]
    values = ", ".join(f"{name} {value:.6g}" for name, value in metrics)
    return f"{text} of run {run.name} {run.run_id}{f' ({values})' if values else ''}"


def _names(models: Iterable[LoggedModelDescription]) -> str:
    return ", ".join(sorted({model.name for model in models}))
