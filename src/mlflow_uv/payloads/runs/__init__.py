"""Creates, describes and ends runs."""
