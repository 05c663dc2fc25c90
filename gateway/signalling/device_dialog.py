"""A camera's INVITE dialog, ended where the device is now."""

from collections.abc import Callable

from gateway.domain.signalling import InviteAnswer
from gb28181.aio.client import InviteDialog
from gb28181.sip.endpoint import Flow

__all__ = ["DeviceDialog"]


class DeviceDialog:
    """An established INVITE dialog, as the domain sees it.

    Args:
        dialog: The dialog.
        bye_timeout: Seconds to wait for the answer to BYE.
        invited: The way the INVITE went.
        locate: Tells the way to the device now, None while it is offline.
        closed: Called once it has ended.
    """

    def __init__(
        self,
        dialog: InviteDialog,
        bye_timeout: float,
        *,
        invited: Flow,
        locate: Callable[[], Flow | None],
        closed: Callable[[], None],
    ) -> None:
        self._dialog = dialog
        self._closed = closed
        self._bye_timeout = bye_timeout
        self._invited = invited
        self._locate = locate

    @property
    def call_id(self) -> str:
        """Call-ID of the dialog."""
        return self._dialog.call_id

    @property
    def answer(self) -> InviteAnswer:
        """The 2xx."""
        return InviteAnswer(self._dialog.response.status, self._dialog.response.body)

    async def bye(self) -> None:
        """End the dialog; never raises.

        A device behind NAT whose port has changed, or that has connected anew, gets the BYE where it is
        now: at the old place it would go on sending.
        """
        flow = self._locate()
        if flow is not None and flow != self._invited:
            self._dialog.retarget(flow)
        await self._dialog.bye(timeout=self._bye_timeout)
        self._closed()
