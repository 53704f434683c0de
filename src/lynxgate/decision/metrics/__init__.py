"""Judge metrics that have a direction, such as latency and size, against the baseline."""
