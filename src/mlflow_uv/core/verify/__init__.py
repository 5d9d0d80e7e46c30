"""Decides which ways of serving a model give the predictions of training, and reports them."""
