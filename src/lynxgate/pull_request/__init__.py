"""The gate in a pull request: the request, its admission, the comment and the check run."""
