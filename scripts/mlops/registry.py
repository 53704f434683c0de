"""``python -m scripts.mlops.registry promote --canonical-sha <sha> --semver v0.X.Y``: the registry's commands."""

import sys

from lynxgate.cli.registry import registry_app
from minieval import exits

if __name__ == "__main__":
    sys.exit(exits.run(registry_app, prog="registry"))
