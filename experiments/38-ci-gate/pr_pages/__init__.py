"""The pages `pr_clean.md` and `pr_regressed.md`, their pictures, and `manifest.json`: made by `just pr-pages`."""
