"""A seeded simulator of many processes on two registries and one tracking server."""
