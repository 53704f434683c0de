"""The commands of the CI deploy gate: thin doors to `lynxgate`."""
