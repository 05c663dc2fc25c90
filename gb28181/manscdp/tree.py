"""XML being written: lines and the elements around them, without a parser's tree.

A catalogue of 10,000 items has some 300,000 leaves; as text they cost a third of what they cost as
elements of a tree.
"""

from typing import Final

from gb28181.manscdp.xmlcodec import clean_text

__all__ = ["Branch", "leaf_line"]

_INDENT: Final = "  "


class Branch:
    """An element with what is in it, in order: finished lines and further branches."""

    __slots__ = ("_attributes", "_containers", "_nodes", "name")

    def __init__(self, name: str, attributes: str = "") -> None:
        self.name = name
        self._attributes = attributes
        self._nodes: list[str | Branch] = []
        self._containers: dict[str, Branch] = {}

    def add(self, node: "str | Branch") -> None:
        """Append a line made by `leaf_line`, or a branch."""
        self._nodes.append(node)

    def at(self, container: str) -> "Branch":
        """Return the container of this name (in any case), made when it is needed first; self for ""."""
        if not container:
            return self
        found = self._containers.get(container.lower())
        if found is None:
            found = self._containers[container.lower()] = Branch(container)
            self._nodes.append(found)
        return found

    def lines(self, indent: str = "") -> list[str]:
        """Return the element as lines."""
        if not self._nodes:
            return [f"{indent}<{self.name}{self._attributes}/>"]
        inner = indent + _INDENT
        found = [f"{indent}<{self.name}{self._attributes}>"]
        for node in self._nodes:
            if isinstance(node, str):
                found.append(inner + node)
            else:
                found.extend(node.lines(inner))
        found.append(f"{indent}</{self.name}>")
        return found


def leaf_line(name: str, text: str) -> str:
    """Return a leaf with its text, whatever it holds; characters that XML cannot carry are dropped."""
    text = clean_text(text)
    if "&" in text or "<" in text or ">" in text:
        text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return f"<{name}>{text}</{name}>"
