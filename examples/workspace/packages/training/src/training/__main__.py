"""Trains a wine classifier on the features of a sibling package, and logs it with MLflow."""

import mlflow
from features import Ratios
from mlflow.models import infer_signature
from sklearn.datasets import load_wine
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from training.cultivars import Cultivars

PAIRS = (("flavanoids", "total_phenols"), ("color_intensity", "hue"))
SEED = 7


def main() -> None:
    """Fit on three quarters of the data, score on the rest, log the model with a signature and an input example."""
    wines, cultivars = load_wine(as_frame=True, return_X_y=True)
    wines_seen, wines_unseen, cultivars_seen, cultivars_unseen = train_test_split(
        wines, cultivars, test_size=0.25, stratify=cultivars, random_state=SEED
    )

    with mlflow.start_run():
        mlflow.log_params({"pairs": PAIRS, "seed": SEED})
        classifier = make_pipeline(Ratios(PAIRS), StandardScaler(), LogisticRegression(max_iter=500))
        classifier.fit(wines_seen, cultivars_seen)
        mlflow.log_metric("accuracy", classifier.score(wines_unseen, cultivars_unseen))

        model = Cultivars(classifier)
        mlflow.pyfunc.log_model(
            name="wine",
            # Pickled by reference: the file names `training.cultivars` and `features.ratios` and holds neither, so the
            # model answers only where both packages are installed.
            python_model=model,
            signature=infer_signature(wines_seen, model.predict(wines_unseen)),
            input_example=wines_unseen.head(5),
        )


if __name__ == "__main__":
    main()
