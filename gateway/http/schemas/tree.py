"""Bodies about the tree of devices and channels."""

from pydantic import Field

from gateway.http.schemas.base import OutModel, PageQuery, Text

__all__ = ["TreeList", "TreeNodeOut", "TreeQuery"]


class TreeNodeOut(OutModel):
    """One node: a civil code, a device, or a catalogue item."""

    id: Text
    """What `parent` takes to list its children."""
    kind: Text
    """`civil`, `registered` for a device that registers here, or the kind of a channel."""
    name: Text
    """Empty if it has none."""
    code: Text
    """Civil code, device id or channel id."""
    device_id: Text | None
    channel_id: Text | None
    online: bool | None
    """Null for what is neither."""
    offline_reason: Text | None
    branch: bool
    """Whether it has children."""
    devices: int | None
    """Devices of a civil code."""
    devices_online: int | None
    channels: int
    """Channels below it."""
    ptz_type: int | None


class TreeList(OutModel):
    """A page of the children of one node."""

    items: list[TreeNodeOut]
    total: int


class TreeQuery(PageQuery):
    """Whose children."""

    parent: str = Field(default="", max_length=160)
    """The `id` of a node; empty: the top."""
