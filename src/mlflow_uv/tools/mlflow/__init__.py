"""MLflow's stores and model servers."""
