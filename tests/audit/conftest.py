"""The fixtures of the promotion's tests, here too."""

from tests.contract.conftest import place  # noqa: F401
from tests.promotion.conftest import memory, workshop  # noqa: F401
