"""The environment of a registry: production, dev, or another name such as staging.

`DEV` is for trials on a laptop. Every other one has the rules of production.
"""

from __future__ import annotations

import re
from typing import ClassVar, Final

from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

# A name is part of the keys of tags in MLflow (`lynxgate.semver.` is that of production), and it is an alias there,
# where "latest" and "v1" mean something else.
ENVIRONMENT: Final = "[a-z][a-z0-9-]{0,30}"
_ENVIRONMENT, _RESERVED = re.compile(ENVIRONMENT), re.compile("semver|latest|v[0-9]+")


class Environment(str):
    """The environment of a registry, such as ``staging``; a registry is marked once and the mark never changes.

    `DEV` is for trials on a laptop. Every other one has the rules of `PRODUCTION`.
    """

    __slots__ = ()
    PRODUCTION: ClassVar[Environment]
    DEV: ClassVar[Environment]

    def __new__(cls, name: str) -> Environment:
        """Raises `ValueError` where the name has another form, or means something else in MLflow."""
        if not _ENVIRONMENT.fullmatch(name) or _RESERVED.fullmatch(name):
            raise ValueError(f"{name[:40]!r} is not an environment: use lower-case letters, digits and hyphens")
        return super().__new__(cls, name)

    @property
    def is_protected(self) -> bool:
        """Whether only CI promotes to it, and only what was measured under the strongest isolation."""
        return self != Environment.DEV

    @property
    def is_named(self) -> bool:
        """Whether it is neither production nor dev; its marks in MLflow then carry its name."""
        return self not in (Environment.PRODUCTION, Environment.DEV)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Read it from text, and write it as text."""
        del source, handler
        return core_schema.no_info_after_validator_function(
            cls,
            core_schema.str_schema(pattern=f"^{ENVIRONMENT}$"),
            serialization=core_schema.plain_serializer_function_ser_schema(str),
        )


Environment.PRODUCTION = Environment("production")
Environment.DEV = Environment("dev")
