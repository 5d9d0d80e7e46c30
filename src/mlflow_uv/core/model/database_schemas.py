"""Maps the Alembic revision of a tracking database to the releases of MLflow that have this schema."""

from collections.abc import Mapping

# The newest revision of each release, read from the published packages. It changes in patch releases, too: 3.1.0 has an
# older schema than 3.0.1.
_RELEASES: Mapping[str, str] = {
    "97727af70f4d": "2.0.1 to 2.2.2",
    "3500859a5d39": "2.3.0 to 2.3.2",
    "7f2a7d5fae7d": "2.4.0 to 2.7.1",
    "acf3f17fdcc7": "2.8.0 to 2.12.2",
    "867495a8f9d4": "2.13.0",
    "5b0e9adcef9c": "2.13.3 to 2.14.3",
    "4465047574b1": "2.15.0 to 2.16.2",
    "f5a4f2784254": "2.17.0 to 2.17.2",
    "0584bdc529eb": "2.18.0 to 2.22.5",
    "6953534de441": "3.0.0 and 3.1.0",
    "bda7b8c39065": "3.0.1 and 3.1.1 to 3.1.4",
    "770bee3ae1dd": "3.2.0",
    "1a0cddfcaa16": "3.3.0 to 3.3.2",
    "71994744cf8e": "3.4.0",
    "bf29a5ff90ea": "3.5.0 to 3.7.0",
    "1bd49d398cd23": "3.8.0 and 3.8.1",
    "d3e4f5a6b7c8": "3.9.0",
    "1b5f0d9ad7c1": "3.10.0 and 3.10.1",
    "c3d6457b6d8a": "3.11.0 and 3.11.1",
    "7d34483879f0": "3.12.0",
    "da6fb0208061": "3.13.0",
    "b7e4c1a90f23": "3.14.0",
    "6f8d9c3b2a1e": "3.15.0 to 3.15.2",
    "b7e2c1a4d9f3": "3.16.0 and 3.16.1",
    "dc11669786a5": "3.17.0 to 3.17.2",
}


def releases_of(revision: str) -> str:
    """The releases with a revision, such as `MLflow 2.18.0 to 2.22.5`; empty for an unknown revision."""
    known = _RELEASES.get(revision)
    return f"MLflow {known}" if known else ""
