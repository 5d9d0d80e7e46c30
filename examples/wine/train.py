"""Trains a classifier that predicts which of three cultivars a wine is from, and logs it with MLflow."""

from typing import Any

import mlflow
import pandas as pd
from mlflow.models import infer_signature
from sklearn.datasets import load_wine
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, log_loss
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

PARAMETERS = {"C": 0.5, "max_iter": 500, "random_state": 7}


def split() -> list[Any]:
    """Split the wines into three quarters for training and the rest, with their cultivars."""
    wines, cultivars = load_wine(as_frame=True, return_X_y=True)
    return train_test_split(wines, cultivars, test_size=0.25, stratify=cultivars, random_state=7)


def unseen() -> pd.DataFrame:
    """The wines not used for training, with their cultivar: the evaluation data for candidate and champion."""
    _, wines, _, cultivars = split()
    return wines.assign(cultivar=cultivars)


def main() -> None:
    """Fit on three quarters of the data, score on the rest, log the model with a signature and an input example."""
    wines_seen, wines_unseen, cultivars_seen, cultivars_unseen = split()

    with mlflow.start_run():
        mlflow.log_params(PARAMETERS)
        classifier = make_pipeline(StandardScaler(), LogisticRegression(**PARAMETERS))
        classifier.fit(wines_seen, cultivars_seen)

        guesses = classifier.predict(wines_unseen)
        accuracy = accuracy_score(cultivars_unseen, guesses)
        mlflow.log_metric("accuracy", accuracy)
        mlflow.log_metric("log_loss", log_loss(cultivars_unseen, classifier.predict_proba(wines_unseen)))

        mlflow.sklearn.log_model(
            classifier,
            name="wine",
            signature=infer_signature(wines_seen, guesses),
            input_example=wines_unseen.head(5),
        )
    print(f"accuracy on unseen wines: {accuracy:.3f}")


if __name__ == "__main__":
    main()
