"""Recomputes every link of a registered version, from its commit to its alias, and reports whether it holds."""

from collections.abc import Iterator
from typing import Annotated, Any

from ..command.inputs import ImageAddress, RegistryInputs, StrictInputs, VersionInputs, VersionNumber, VersionState
from ..command.report import Finding, Report, Severity, Table, TableKind
from ..command.step import Doc, Step
from ..command.wording import step_call
from ..core.release.chain import LinkCheck, LinkState, checked_links, merge_checks
from ..core.verify.results import Verdict, WayResult, recorded_results, result_table, ways_of
from ..ops.deploy.audit import checked_deployments
from ..ops.image.lookup import address_of
from ..ops.lineage.audit import Audited, audited
from ..ops.lineage.link_report import link_findings, link_table, links_summary
from ..ops.lineage.registry_client import connect
from ..ops.lineage.version_lookup import VERSION_URI, parsed_uri, version_number
from ..payloads.messages.lazy_dataclass import lazy_dataclass
from ..payloads.messages.tags import STATE
from ..tools.toolbox import Tools


@lazy_dataclass
class Inputs(RegistryInputs, VersionInputs, StrictInputs):
    """Inputs of audit: the version, and where the project and the store are."""


@lazy_dataclass
class Outputs:
    """Outputs of audit: the links by state."""

    model_name: Annotated[str, Doc("Name of the registered model.")]
    version: VersionNumber
    state: VersionState
    holds: Annotated[tuple[str, ...], Doc("Names of the links of the chain that hold, such as lock or commit.")]
    broken: Annotated[tuple[str, ...], Doc("Names of the links of the chain that are broken.")]
    unverified: Annotated[tuple[str, ...], Doc("Names of the links of the chain that could not be verified here.")]
    image_address: ImageAddress


def run(inputs: Inputs, tools: Tools) -> Report[Outputs]:
    """
    Recompute every link of a version from the registry, the store, git and the engine, without changing anything.

    A broken link is an error, a link that cannot be verified here a warning. Raises BadInput, ToolFailed,
    StoreUnreachable.
    """
    from ..ops.image.recomposed import recomposed  # noqa: PLC0415  # imports the layers of images

    name, number, alias = parsed_uri(inputs.version_uri)
    registry = connect(inputs, tools)
    version = version_number(registry, name, alias or number, VERSION_URI)
    with audited(registry, name=name, version=version) as audit:
        held = (alias_holds(audit, alias),) if alias else ()
        again = recomposed(audit, registry)
        checks = (*audit.checks, *again.checks, *held, *checked_deployments(registry, audit))
    links = merge_checks(checks)
    states = {state: tuple(link.link for link in links if link.state is state) for state in LinkState}
    findings = (
        *link_findings(links, f"{name} version {version}", strict=inputs.strict),
        *again.findings,
        *_unequal(audit),
    )
    return Report(
        outputs=Outputs(
            model_name=name,
            version=version,
            state=audit.tags.get(STATE, "none"),
            holds=states[LinkState.HOLDS],
            broken=states[LinkState.BROKEN],
            unverified=states[LinkState.UNVERIFIED],
            image_address=address_of(audit.record.image) if audit.record else "",
        ),
        summary=f"{name} version {version}: {links_summary(states)}",
        findings=findings,
        tables=(link_table(links), *_verification(audit), *_history(audit)),
        chain=checked_links(audit.record, links),
    )


def alias_holds(audit: Audited, alias: str) -> LinkCheck:
    """Check that the newest audit entry about an alias moved it to this version."""
    entries = audit.description.entries
    moving_entry = next((candidate for candidate in entries if candidate.alias == alias), None)
    keeping_entry = next((candidate for candidate in entries if candidate.keeps == alias), None)
    entry = moving_entry or keeping_entry
    if entry is None:
        why = f"`{alias}` points to version {audit.version}, but no audit entry says who moved it"
        return LinkCheck(link="alias", state=LinkState.BROKEN, reason=why)
    if not entry.done:
        why = f"the {entry.action} by {entry.who} was not finished; the next promotion or rollback completes it"
        return LinkCheck(link="alias", state=LinkState.UNVERIFIED, reason=why)
    entry_version = entry.after if moving_entry else entry.previous
    if entry_version == audit.version:
        return LinkCheck(link="alias", state=LinkState.HOLDS)
    why = f"it points to version {audit.version}, but the entry of {entry.when} says version {entry_version}"
    return LinkCheck(link="alias", state=LinkState.BROKEN, reason=why)


def _ways(audit: Audited) -> tuple[WayResult, ...]:
    """The ways in which verify served the version; none without its results, or with those of a later release."""
    link = audit.record.verification if audit.record else None
    try:
        return recorded_results(link.ways) if link else ()
    except ValueError:
        return ()


def _unequal(audit: Audited) -> Iterator[Finding]:
    """Yield a warning about ways in which verify found other predictions than those of training."""
    if unequal := ways_of(_ways(audit), Verdict.DIFFERENT, Verdict.FAILED):
        yield Finding(
            rule="ways-unequal",
            severity=Severity.WARNING,
            what=f"verify found that {', '.join(unequal)} {'does' if len(unequal) == 1 else 'do'} not give the"
            " predictions of training",
            why="the release record has the result",
            fix=step_call("verify", version_uri=f"models:/{audit.name}/{audit.version}"),
        )


def _verification(audit: Audited) -> Iterator[Table]:
    """Yield the table that verify printed."""
    if results := _ways(audit):
        yield result_table(results)


def _history(audit: Audited) -> Iterator[Table]:
    """Yield a table of the audit entries about the version's aliases, newest first."""
    entries = audit.description.entries
    if entries:
        rows = tuple(
            (
                entry.when,
                entry.action if entry.done else f"{entry.action}, not finished",
                entry.alias,
                f"{entry.before or 'none'} → {entry.after}",
                entry.who,
            )
            for entry in entries
        )
        yield Table(
            title="History", columns=("When", "What", "Alias", "Version", "Who"), rows=rows, kind=TableKind.DETAILS
        )


STEP: Step[Any, Any, Any] = Step(
    name="audit",
    summary="Recompute every link in the chain of a registered version, and report whether it holds.",
    inputs=Inputs,
    outputs=Outputs,
    run=run,
    needs_project=False,
)
