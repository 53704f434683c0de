"""The model's own environment: what its bundle asks for, what is installed, and what uv builds from it."""
