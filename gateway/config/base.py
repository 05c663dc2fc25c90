"""What all sections of the configuration have in common."""

from pydantic import BaseModel, ConfigDict

__all__ = ["Section"]


class Section(BaseModel):
    """A table of the file: unknown keys are refused, docstrings describe the options."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)
