"""Models of torch and transformers, in an environment of their own (`just torch`)."""
