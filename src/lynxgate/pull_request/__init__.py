"""The gate in a pull request: the request, its admission, the report as comment and check run, the rebaseline."""
