"""Set up a repository: the files that `lynxgate init` writes."""
