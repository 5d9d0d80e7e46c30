"""Answers requests in MLflow's scoring protocol and in the V2 inference protocol, and documents both."""
