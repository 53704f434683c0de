"""The promotion: what it refuses, what it writes, and what is left when it is killed or MLflow fails."""
