"""A declarative Jenkinsfile as statements: parsed as Groovy by groovy-parser, then held to the sections Jenkins knows.

Jenkins' own validator is a part of its server. What it would refuse and this does not: an argument of a step or an
option, and a step of a plugin that is not installed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

from groovy_parser.parser import create_groovy_parser, digest_lark_tree
from groovy_parser.tokenizer import GroovyRestrictedTokenizer
from lark import Lark
from lark.exceptions import LarkError

PIPELINE = {"agent", "environment", "options", "parameters", "post", "stages", "tools", "triggers", "libraries"}
STAGE = {"agent", "environment", "input", "matrix", "options", "parallel", "post", "stages", "steps", "tools", "when"}
STAGE_WORK = {"matrix", "parallel", "stages", "steps"}
POST = {"aborted", "always", "changed", "cleanup", "failure", "fixed", "notBuilt", "regression", "success", "unstable"}
POST |= {"unsuccessful"}
WHEN = {"allOf", "anyOf", "beforeAgent", "beforeInput", "beforeOptions", "branch", "buildingTag", "changelog"}
WHEN |= {"changeRequest", "changeset", "environment", "equals", "expression", "not", "tag", "triggeredBy"}


class Refused(ValueError):
    """No Jenkinsfile, or none that Jenkins would take."""


@dataclass(frozen=True)
class Statement:
    """One statement: the words before its block (the first is its name), and the statements in the block."""

    words: tuple[str, ...]
    body: tuple[Statement, ...]

    @property
    def name(self) -> str:
        """What is called, or set."""
        return self.words[0]

    def all(self, name: str) -> list[Statement]:
        """The statements of that name in the block."""
        return [each for each in self.body if each.name == name]

    def one(self, name: str) -> Statement:
        """The only statement of that name in the block."""
        (found,) = self.all(name)
        return found

    def walk(self) -> Iterator[Statement]:
        """This statement and all below it."""
        yield self
        for each in self.body:
            yield from each.walk()

    @property
    def text(self) -> str:
        """All words, of this statement and below it."""
        return " ".join(word for each in self.walk() for word in each.words)


@cache
def parse_jenkinsfile(text: str) -> Statement:
    """The `pipeline` of a Jenkinsfile.

    Raises:
        Refused: no Groovy, no declarative pipeline, or a section that is unknown, missing or twice there.
    """
    try:
        tree: Any = digest_lark_tree(_groovy().parse(list(GroovyRestrictedTokenizer().get_tokens(text))))
    except LarkError as error:
        raise Refused(f"no Groovy: {error}") from error
    statements = tuple(_statements(tree))
    if [each.name for each in statements] != ["pipeline"]:
        raise Refused("a declarative Jenkinsfile is one `pipeline` block")
    (pipeline,) = statements
    _hold(pipeline, PIPELINE, frozenset({"agent", "stages"}))
    _hold_stages(pipeline.one("stages"))
    return pipeline


@cache
def _groovy() -> Lark:
    """The parser; making it takes most of a second, and its types know only of strings as input."""
    return create_groovy_parser()


def _hold_stages(stages: Statement) -> None:
    if not stages.body:
        raise Refused("`stages` holds at least one stage")
    for stage in stages.body:
        if stage.name != "stage" or len(stage.words) != 2:
            raise Refused(f"`stages` holds stages with a name, and not {stage.words}")
        _hold(stage, STAGE)
        work = [each for each in stage.body if each.name in STAGE_WORK]
        if len(work) != 1 or not work[0].body:
            raise Refused(f"stage {stage.words[1]}: exactly one of {sorted(STAGE_WORK)}, and not empty")
        for when in stage.all("when"):
            _hold_when(when)
        for post in stage.all("post"):
            _hold(post, POST)
        if work[0].name in {"stages", "parallel"}:
            _hold_stages(work[0])


def _hold_when(when: Statement) -> None:
    for each in when.body:
        if each.name not in WHEN:
            raise Refused(f"`when` knows no condition {each.name!r}")
        if each.name in {"allOf", "anyOf", "not"}:
            _hold_when(each)


def _hold(block: Statement, known: set[str], needed: frozenset[str] = frozenset()) -> None:
    names = [each.name for each in block.body]
    if wrong := [name for name in names if name not in known or names.count(name) > 1]:
        raise Refused(f"`{block.name}`: {wrong[0]!r} is unknown here, or there twice")
    if missing := needed - set(names):
        raise Refused(f"`{block.name}` has no {sorted(missing)[0]!r}")


def _statements(node: dict[str, Any]) -> Iterator[Statement]:
    """The outermost statements below a node."""
    if {"block_statement", "script_statement"} & set(node.get("rule", ())):
        parts = list(_parts(node))
        yield Statement(
            tuple(part for part in parts if isinstance(part, str)),
            tuple(each for part in parts if not isinstance(part, str) for each in _statements(part)),
        )
        return
    for child in node.get("children", ()):
        yield from _statements(child)


def _parts(node: dict[str, Any]) -> Iterator[str | dict[str, Any]]:
    """The words of a statement, without punctuation, and the blocks in it, unread."""
    if "leaf" in node:
        if node["leaf"] == "STRING_LITERAL":
            yield node["value"].replace("\\\\", "\\")
        elif node["leaf"].endswith(("IDENTIFIER", "_LITERAL")) or node["leaf"] == "ASSIGN":
            yield node["value"]
        return
    for child in node.get("children", ()):
        if "closure" in child.get("rule", ()):
            yield {"children": child["children"]}
        else:
            yield from _parts(child)
