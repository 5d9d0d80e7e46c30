"""Trains a classifier that tells which of three cultivars a wine is from."""

import mlflow
import pandas as pd
from mlflow.models import infer_signature
from sklearn.datasets import load_wine
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

STRENGTH = 0.5


def split() -> list[pd.DataFrame | pd.Series]:
    """Three quarters of the wines to train with, and the rest."""
    wines, cultivars = load_wine(as_frame=True, return_X_y=True)
    return train_test_split(wines, cultivars, test_size=0.25, stratify=cultivars, random_state=7)


def unseen() -> pd.DataFrame:
    """The wines that training does not see, with their cultivar."""
    _, wines, _, cultivars = split()
    return wines.assign(cultivar=cultivars)


def main() -> None:
    """Train, and log the model with its signature and an example."""
    wines, _, cultivars, _ = split()
    model = make_pipeline(StandardScaler(), LogisticRegression(C=STRENGTH, max_iter=500))
    with mlflow.start_run():
        model.fit(wines, cultivars)
        mlflow.sklearn.log_model(
            model,
            name="wine",
            signature=infer_signature(wines, model.predict(wines)),
            input_example=wines.head(3),
        )


if __name__ == "__main__":
    main()
