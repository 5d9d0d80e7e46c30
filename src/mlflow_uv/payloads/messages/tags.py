"""Names the tags of runs, models, versions and registered models that this program sets and reads."""

# What a model was trained from, on runs, logged models and versions.
RELEASE_KEY = "mlflow-uv.release-key"
COMMIT = "mlflow-uv.commit"
DIRTY = "mlflow-uv.dirty"  # "true" or "false": whether the tree had uncommitted changes
LOCK_DIGEST = "mlflow-uv.lock-sha256"
UV_VERSION = "mlflow-uv.uv"
REQUIREMENTS_DIGEST = "mlflow-uv.requirements-sha256"
MODEL_DIGEST = "mlflow-uv.model-sha256"
TRAINING_INPUTS = "mlflow-uv.inputs"
PROJECT = "mlflow-uv.project"
ATTEMPT = "mlflow-uv.attempt"  # the training, on each of its runs and models
# On a trained model, once its inputs were compared after training: the release key, the digest of what training wrote,
# and the attempt that verifies it, or how that ended.
TRAINED_KEY = "mlflow-uv.trained-key"
TRAINED_DIGEST = "mlflow-uv.trained-sha256"
VERIFICATION = "mlflow-uv.verification"
MODEL_PATH = "mlflow-uv.model-path"  # with MLflow 2: the folder of the run that the other tags are about

# The record and the state of a version.
RECORD_DIGEST = "mlflow-uv.record-sha256"
IMAGE = "mlflow-uv.image"
STATE = "mlflow-uv.state"  # registered, tested, failed, promoted or replaced
TESTED = ("tested", "promoted", "replaced")  # states whose smoke test passed; a replaced version may return
REASON = "mlflow-uv.reason"

# Runs of an evaluation.
EVALUATION = "mlflow-uv.evaluation"
EVALUATED_MODEL = "mlflow-uv.evaluated-model"
EVALUATED_VERSION = "mlflow-uv.evaluated-version"
EVALUATION_DATA = "mlflow-uv.evaluation-data"
EVALUATION_TARGET = "mlflow-uv.evaluation-target"
EVALUATION_MODEL_TYPE = "mlflow-uv.evaluation-model-type"
EVALUATION_SETTINGS = "mlflow-uv.evaluation-settings"
EVALUATION_REQUESTED = "mlflow-uv.evaluation-asked"  # when it was last requested; sorts as text
DATA_DIGEST = "mlflow-uv.data-sha256"

# Models that were converted from a version, with their runs; the prefix is for tags of that version, one a format.
EXPORT_KEY = "mlflow-uv.export-key"
EXPORT_FORMAT = "mlflow-uv.export-format"
EXPORTED_FROM = "mlflow-uv.exported-from"
EXPORT_PREFIX = "mlflow-uv.export."

# Prefixes: an entry for each move of an alias, on versions; a lease, on registered models; an entry for each
# deployment, on the registered model and on the versions that it runs or ran.
AUDIT_PREFIX = "mlflow-uv.audit."
LEASE_PREFIX = "mlflow-uv.turn."
DEPLOYMENT_PREFIX = "mlflow-uv.deployment."

# Annotation of an object in a repository: the model and the number of its version, MODEL/NUMBER.
MODEL_VERSION = "mlflow-uv.model-version"

# Prefix of what a plugin of `mlflow.deployments` was called to deploy, on versions: plugins do not report it.
PLUGIN_PREFIX = "mlflow-uv.plugin."
