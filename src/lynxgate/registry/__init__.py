"""The registry: the format of each document in it, and how readers resolve them."""
