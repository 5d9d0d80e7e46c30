"""A model that returns the cultivar of a wine and its probability."""

import pandas as pd
from mlflow.pyfunc import PythonModel
from sklearn.pipeline import Pipeline


class Cultivars(PythonModel):  # type: ignore[misc]  # mlflow does not type its base class
    """Wraps the classifier and returns names of cultivars with their probability."""

    def __init__(self, classifier: Pipeline) -> None:
        self.classifier = classifier

    def predict(self, model_input: pd.DataFrame) -> pd.DataFrame:
        """One row per wine: `cultivar` and `probability`."""
        probabilities = self.classifier.predict_proba(model_input)
        cultivars = [f"cultivar {self.classifier.classes_[best] + 1}" for best in probabilities.argmax(axis=1)]
        return pd.DataFrame({"cultivar": cultivars, "probability": probabilities.max(axis=1).round(6)})
