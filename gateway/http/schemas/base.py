"""What all bodies share."""

from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

__all__ = [
    "MAX_LIMIT",
    "MAX_PURPOSE",
    "MAX_TICKET",
    "InModel",
    "OutModel",
    "PageQuery",
    "ProblemOut",
    "Text",
]

MAX_LIMIT = 1000
MAX_PURPOSE = 200
"""Characters of a purpose; it stands in the audit and travels in stream tokens."""
MAX_TICKET = 64


def _printable(value: object) -> object:
    # Device strings may hold undecodable bytes as lone surrogates, which are no JSON.
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else value


Text = Annotated[str, BeforeValidator(_printable)]


class OutModel(BaseModel):
    """Made from domain values by attribute."""

    model_config = ConfigDict(
        from_attributes=True,
        use_attribute_docstrings=True,
        json_schema_serialization_defaults_required=True,
    )


class InModel(BaseModel):
    """Comes from outside: unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)


class PageQuery(InModel):
    """Which part of a list."""

    limit: int = Field(default=100, ge=1, le=MAX_LIMIT)
    """Items in the answer."""
    offset: int = Field(default=0, ge=0, le=100_000_000)
    """Matches before the page."""


class ProblemOut(BaseModel):
    """An error, RFC 9457."""

    model_config = ConfigDict(extra="allow", use_attribute_docstrings=True)

    type: str
    title: str
    status: int
    detail: str
    """What was expected, what came, what to do."""
    code: str
    """Stable word for programs."""
    instance: str
    """Path of the request."""
