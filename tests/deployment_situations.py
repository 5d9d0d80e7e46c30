"""Declares which test shows what a target of `deploy` does in each situation, and renders that as documentation."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

PAGE = Path(__file__).resolve().parents[1] / "docs" / "deploy" / "situations.md"
MEMORY, STAND_IN, REAL = "in memory", "by its protocol", "real"


@dataclass(frozen=True, kw_only=True, slots=True)
class Situation:
    """A situation; `common` are the tests that every kind in `kinds` passes, which are those of their fixture."""

    name: str
    common: tuple[str, ...] = ()
    kinds: Collection[str] = ()


# The kind of the common tests, by the target and the way in which it is used.
TARGETS = {
    **dict.fromkeys(("compose", "podman"), "host"),
    **{kind: kind for kind in ("kubernetes", "kserve", "seldon", "seldon2", "gitops", "sagemaker")},
    "sagemaker, serverless": "",
    "sagemaker, batch": "sagemaker batch",
    **{kind: kind for kind in ("databricks", "azureml", "ray", "mlflow")},
}
# Kinds of the common tests; the house tests compare them with the fixtures.
PLACES = frozenset(kind for kind in TARGETS.values() if kind)
REMOVABLE = PLACES - {"gitops"}
BESIDE = REMOVABLE - {"mlflow"}
SHARED = BESIDE - {"kubernetes", "sagemaker batch"}

CREATED = Situation(
    name="plan, first version, no change",
    common=("test_a_first_deployment_names_everything_and_a_second_run_changes_nothing",), kinds=PLACES,
)  # fmt: skip
UPDATED = Situation(name="update", common=("test_an_update_replaces_the_version_and_leaves_nothing",), kinds=PLACES)
UNDONE = Situation(
    name="update that fails, and the return", common=("test_an_update_is_undone_after_any_phase",), kinds=PLACES
)
STOPPED = Situation(name="canary that its gate stops", common=("test_a_canary_is_stopped_by_its_gate",), kinds=SHARED)
REMOVED = Situation(name="removal", common=("test_a_removed_deployment_leaves_nothing",), kinds=REMOVABLE)
DENIED, FULL = Situation(name="wrong credentials"), Situation(name="quota")
LATE = Situation(name="time-out", common=("test_a_change_that_takes_too_long_is_returned_from",), kinds=BESIDE)
CANCELLED = Situation(name="cancelled run", common=("test_a_cancelled_run_returns",), kinds=PLACES)
ENDED = Situation(
    name="killed run",
    common=("test_the_next_run_goes_on_after_one_that_was_killed",
            "test_a_failure_after_a_killed_run_returns_to_what_was_proven"),
    kinds=PLACES,
)  # fmt: skip
TWO = Situation(
    name="two runs at once", common=("test_two_runs_at_once_end_with_the_version_of_the_second",), kinds=PLACES
)
FOREIGN = Situation(
    name="what somebody else made", common=("test_a_deployment_of_another_model_is_not_removed",), kinds=PLACES
)
LOSSLESS = Situation(name="requests during a replacement")
SITUATIONS = (
    CREATED, UPDATED, UNDONE, STOPPED, REMOVED, DENIED, FULL, LATE, CANCELLED, ENDED, TWO, FOREIGN, LOSSLESS,
)  # fmt: skip

CLUSTERS = ("kubernetes", "kserve", "seldon", "seldon2")
REPLACED = "test_no_request_fails_while_versions_are_replaced"
ENDS = "test_a_run_that_ends_in_the_middle_is_undone_or_finished_by_the_next"
FAILS_HERE = "test_a_version_that_fails_only_where_it_is_deployed_gets_no_traffic"
UNAVAILABLE = "test_a_port_that_somebody_else_has_and_an_engine_that_does_not_answer_change_nothing"
BY_COMMIT = "test_a_version_is_deployed_by_a_commit_and_a_wrong_one_taken_back"
PUSHED = "test_a_run_that_ends_after_its_push_is_undone_or_finished_by_the_next"
NEVER = "test_an_endpoint_that_never_gets_the_version_and_a_wrong_token_change_nothing"
PROPOSED = "test_a_pull_request_is_recorded_and_counts_once_it_is_merged"
ON_RAY = "test_versions_are_replaced_on_ray_without_a_lost_request"
BY_BOTO = "test_a_version_is_deployed_replaced_and_taken_back_by_boto3"
SERVERLESS = "test_a_version_without_servers_of_its_own_is_replaced_and_returned_from_by_boto3"
BY_JOB = "test_a_version_for_transform_jobs_is_tried_by_boto3"
ON_DATABRICKS = "test_a_version_is_deployed_to_databricks_and_a_wrong_one_taken_back"
BY_PLUGIN = "test_a_plugin_creates_updates_finds_and_removes_a_deployment"
CLAIM = "test_a_deployment_goes_from_one_run_and_one_version_to_the_next"

# What shows a situation beside the tests that are common, by the target: the name of a test and what it runs with.
MORE: Mapping[str, Mapping[Situation, tuple[tuple[str, str], ...]]] = {
    "compose": {
        CREATED: (("test_a_version_is_deployed_and_removed", REAL),),
        UPDATED: ((REPLACED, REAL),),
        UNDONE: ((FAILS_HERE, REAL),),
        STOPPED: (("test_a_version_that_the_smoke_test_cannot_tell_is_stopped", REAL),),
        REMOVED: (("test_a_version_is_deployed_and_removed", REAL),),
        DENIED: ((UNAVAILABLE, REAL),),
        LATE: ((FAILS_HERE, REAL),),
        CANCELLED: ((ENDS, REAL),),
        ENDED: ((ENDS, REAL), ("test_after_a_killed_run_and_a_killed_return_the_next_run_ends_well", REAL)),
        TWO: (
            ("test_two_runs_do_not_change_a_deployment_at_once", REAL),
            ("test_of_two_runs_that_planned_at_the_same_time_one_deploys", REAL),
        ),
        FOREIGN: (("test_another_tracking_server_neither_replaces_nor_removes_a_deployment", REAL),),
        LOSSLESS: ((REPLACED, REAL),),
    },
    "podman": {
        **dict.fromkeys((CREATED, UPDATED, UNDONE, LATE, LOSSLESS), ((REPLACED, REAL),)),
        REMOVED: (("test_an_audit_finds_what_somebody_else_did_to_a_deployment", REAL),),
        **dict.fromkeys((CANCELLED, ENDED), ((ENDS, REAL),)),
        TWO: (("test_two_runs_do_not_change_a_deployment_at_once", REAL),),
    },
    **{
        kind: {
            **dict.fromkeys((CREATED, UPDATED, REMOVED), (("test_a_version_is_created_changed_and_removed", REAL),)),
            **dict.fromkeys(
                (UNDONE, LATE, *(() if kind == "kubernetes" else (STOPPED,))),
                (("test_a_version_that_fails_is_undone", REAL),),
            ),
            DENIED: (("test_a_login_that_may_not_deploy_changes_nothing", REAL),),
            FULL: (("test_a_quota_of_the_namespace_stops_a_version_and_leaves_nothing_of_it", REAL),),
            ENDED: (("test_a_run_that_was_killed_is_finished_by_the_next", REAL),),
            TWO: (("test_a_deployment_that_another_model_made_after_the_plan_is_refused_by_the_server", REAL),),
            FOREIGN: (
                ("test_a_field_of_somebody_else_is_not_overwritten", REAL),
                ("test_a_deployment_of_another_registry_is_left_alone_until_it_is_taken_over", REAL),
            ),
        }
        for kind in CLUSTERS
    },
    "gitops": {
        CREATED: ((BY_COMMIT, REAL),),
        UPDATED: ((PROPOSED, REAL),),
        UNDONE: ((BY_COMMIT, REAL),),
        DENIED: ((NEVER, REAL),),
        LATE: ((NEVER, REAL),),
        **dict.fromkeys((CANCELLED, ENDED, TWO), ((PUSHED, REAL),)),
        FOREIGN: (
            ("test_a_file_that_is_missing_or_a_service_that_others_wrote_is_not_made_and_not_removed", MEMORY),
            ("test_audit_finds_a_version_that_somebody_wrote_by_hand", REAL),
        ),
    },
    "sagemaker": {
        **dict.fromkeys((CREATED, UPDATED, UNDONE, REMOVED), ((BY_BOTO, STAND_IN),)),
        DENIED: (
            ("test_wrong_credentials_and_a_quota_are_the_words_of_the_service", MEMORY),
            ("test_without_credentials_the_error_says_what_to_do", STAND_IN),
            ("test_a_response_that_is_not_one_of_aws_is_an_error_and_no_traceback", STAND_IN),
        ),
        FULL: (("test_wrong_credentials_and_a_quota_are_the_words_of_the_service", MEMORY),),
        FOREIGN: (
            ("test_an_endpoint_of_somebody_else_is_left_alone", MEMORY),
            ("test_a_configuration_of_the_same_name_and_another_content_is_left_alone", MEMORY),
            ("test_removal_deletes_what_belongs_to_the_endpoint_alone", MEMORY),
        ),
    },
    "sagemaker, serverless": {
        **dict.fromkeys((CREATED, UPDATED), ((SERVERLESS, STAND_IN),)),
        UNDONE: (
            (SERVERLESS, STAND_IN),
            ("test_a_serverless_version_that_does_not_start_leaves_the_one_before", MEMORY),
        ),
        ENDED: (("test_a_serverless_endpoint_returns_to_the_proven_version_after_a_killed_run", MEMORY),),
        FOREIGN: (("test_an_endpoint_does_not_get_servers_or_lose_them", MEMORY),),
    },
    "sagemaker, batch": {
        **dict.fromkeys((CREATED, UPDATED, UNDONE, REMOVED), ((BY_JOB, STAND_IN),)),
        DENIED: (("test_a_right_that_is_missing_in_s3_is_named", MEMORY),),
        LATE: (("test_a_job_that_fails_hangs_or_answers_nothing_is_an_error", MEMORY),),
        CANCELLED: (("test_a_cancelled_run_stops_its_job", MEMORY),),
        ENDED: (("test_a_job_of_a_run_that_was_killed_is_stopped", MEMORY),),
        TWO: (("test_of_two_models_with_the_same_number_one_is_taken_everywhere", MEMORY),),
        FOREIGN: (
            ("test_a_model_of_the_same_name_and_another_content_is_left_alone", MEMORY),
            ("test_models_of_another_deployment_and_of_somebody_else_stay", MEMORY),
            ("test_a_deployment_whose_model_a_job_of_others_uses_is_not_removed", MEMORY),
        ),
    },
    "databricks": {
        **dict.fromkeys((CREATED, UNDONE), ((ON_DATABRICKS, STAND_IN),)),
        **dict.fromkeys(
            (DENIED, FULL),
            (("test_wrong_credentials_a_quota_and_an_unknown_version_are_the_platforms_words", MEMORY),),
        ),
        TWO: (("test_a_change_of_somebody_else_ends_the_run", MEMORY),),
        FOREIGN: (("test_what_somebody_else_made_is_neither_changed_nor_removed", MEMORY),),
    },
    "azureml": {
        **dict.fromkeys((DENIED, FULL), (("test_wrong_credentials_and_a_quota_are_the_words_of_azure", MEMORY),)),
        FOREIGN: (
            ("test_an_environment_of_the_same_name_and_another_content_is_left_alone", MEMORY),
            ("test_a_deployment_that_somebody_made_on_our_endpoint_is_neither_replaced_nor_removed", MEMORY),
        ),
    },
    "ray": {
        **dict.fromkeys((CREATED, UPDATED, UNDONE, REMOVED, LOSSLESS), ((ON_RAY, REAL),)),
        DENIED: (("test_the_token_of_the_environment_is_the_login", MEMORY),),
        LATE: (("test_an_endpoint_that_never_started_does_not_block_the_next_run", REAL),),
        **dict.fromkeys((CANCELLED, ENDED), (("test_a_run_that_ends_on_ray_is_undone_or_finished_by_the_next", REAL),)),
        FOREIGN: (("test_an_application_of_somebody_else_is_neither_changed_nor_removed", MEMORY),),
    },
    "mlflow": {
        **dict.fromkeys((CREATED, UPDATED, REMOVED), ((BY_PLUGIN, REAL),)),
        LATE: (("test_a_plugin_that_hangs_is_stopped_and_returned_from", REAL),),
        UNDONE: (("test_a_plugin_that_fails_returns_to_the_version_before", MEMORY),),
        ENDED: (("test_a_run_that_was_killed_inside_the_plugin_is_seen", MEMORY),),
        FOREIGN: (
            ("test_a_deployment_of_somebody_else_is_not_replaced", MEMORY),
            ("test_a_deployment_that_somebody_made_after_a_removal_is_not_removed", MEMORY),
        ),
    },
}
NO_POD = "no pod runs in the API server, and Podman, which runs the pod of a manifest, has no Service"
# Why a target has no test of a situation.
NOT_SHOWN: Mapping[str, Mapping[Situation, str]] = {
    "compose": {FULL: "a host has no quota, and a full disk was not tried"},
    "podman": {
        DENIED: "the engine of the user needs no login",
        FULL: "a host has no quota, and a full disk was not tried",
    },
    "kubernetes": {
        STOPPED: "a Service divides no requests by shares: `canary` is refused",
        LOSSLESS: NO_POD,
    },
    **{kind: {LOSSLESS: "no pod runs in the API server"} for kind in ("kserve", "seldon", "seldon2")},
    "gitops": {
        STOPPED: "a file names one version: `canary` is refused",
        REMOVED: "others made the file: `--remove` is refused",
        FULL: "what applies the file has one, which the server of the deployment shows by never saying the version",
        LOSSLESS: "what applies the commit replaces the pods",
    },
    "sagemaker": {LOSSLESS: "an account replaces the servers"},
    "sagemaker, serverless": {
        STOPPED: "SageMaker runs one version of it: `canary` is refused",
        REMOVED: "the same code as with servers",
        DENIED: "the same code as with servers",
        FULL: "the stand-in has no quota for it",
        LATE: "the same code as with servers",
        CANCELLED: "the same code as with servers",
        TWO: "the same code as with servers",
        LOSSLESS: "an account replaces the servers",
    },
    "sagemaker, batch": {
        STOPPED: "nothing serves requests that could be divided: `canary` is refused",
        FULL: "no test has more instances than the account allows",
        LOSSLESS: "nothing serves requests",
    },
    "databricks": {LOSSLESS: "a workspace replaces the servers"},
    "azureml": {LOSSLESS: "a workspace replaces the servers"},
    "ray": {FULL: "a cluster without room was not tried"},
    "mlflow": {
        STOPPED: "MLflow's interface has no shares: `canary` is refused",
        DENIED: "a plugin has a login of its own, and its error is shown as any other",
        FULL: "as with wrong credentials",
        LOSSLESS: "the plugin decides how a version is replaced",
    },
}

HEAD = f"""\
<!-- Written by `python tests/deployment_situations.py`. -->

# Targets and situations

For each kind of target and each situation, the tests that show what happens. They run with the target itself (*{REAL}*:
Docker Compose, Podman, a Kubernetes API server without pods, a git server, Ray on one machine), with a stand-in of its
service that is reached over HTTP (*{STAND_IN}*), or with a stand-in in the process of the test that refuses what the
target refuses (*{MEMORY}*). A situation without a test has a reason instead. That two runs do not
change one deployment at once is shown for every target by
`{CLAIM}`, with a real registry.

The real tests are extended ones, apart from `test_a_version_is_deployed_and_removed`,
`test_of_two_runs_that_planned_at_the_same_time_one_deploys` and
`{BY_PLUGIN}`.

"""


def shown_by(target: str, situation: Situation) -> tuple[tuple[str, str], ...]:
    """The tests that show a situation for a target, with what they run."""
    common = situation.common if TARGETS[target] in situation.kinds else ()
    return (*MORE[target].get(situation, ()), *((name, MEMORY) for name in common))


def gaps() -> Iterator[str]:
    """What has neither a test nor a reason, and what has a reason although there is a test."""
    for target in TARGETS:
        for situation in SITUATIONS:
            shown, reason = shown_by(target, situation), NOT_SHOWN.get(target, {}).get(situation)
            if bool(shown) == bool(reason):
                yield f"{target}: {situation.name}"


def page() -> str:
    """A table of all targets, and one for each."""
    head = f"| | {' | '.join(TARGETS)} |\n|---|{'---|' * len(TARGETS)}\n"
    rows = (f"| {situation.name} | {' | '.join(_mark(target, situation) for target in TARGETS)} |\n"
            for situation in SITUATIONS)  # fmt: skip
    return HEAD + head + "".join(rows) + "".join(map(_section, TARGETS))


def _mark(target: str, situation: Situation) -> str:
    ways = {way for _, way in shown_by(target, situation)}
    return next((way for way in (REAL, STAND_IN, MEMORY) if way in ways), "–")


def _section(target: str) -> str:
    rows = "".join(f"| {situation.name} | {_shown(target, situation)} |\n" for situation in SITUATIONS)
    return f"\n## {target}\n\n| situation | shown by |\n|---|---|\n{rows}"


def _shown(target: str, situation: Situation) -> str:
    tests = shown_by(target, situation)
    if not tests:
        return f"not shown: {NOT_SHOWN[target][situation]}"
    return ", ".join(f"{way}: `{name}`" for name, way in tests)


def main() -> None:
    """Write the page."""
    PAGE.write_text(page())


if __name__ == "__main__":
    main()
