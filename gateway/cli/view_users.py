"""Tables about users and where they are logged in."""

from typing import Any

from rich.console import RenderableType
from rich.text import Text

from gateway.cli.text import Say
from gateway.cli.view import make_table, when

__all__ = ["session_table", "user_table"]

Json = dict[str, Any]


def user_table(page: Json, say: Say) -> RenderableType:
    """The accounts."""
    table = make_table(
        say("users"),
        say("user"),
        say("role"),
        say("department"),
        say("display_name"),
        say("zone"),
        say("logged_in"),
        say("streams"),
        say("last_login"),
        say("state"),
    )
    for user in page["items"]:
        state = "disabled" if user["disabled"] else "usable"
        if user["must_change_password"] and not user["disabled"]:
            state = "must_change"
        table.add_row(
            user["name"],
            user["role"],
            user["department"],
            user["display_name"],
            user["zone"],
            str(user["sessions"]),
            f"{user['open_streams']}/{user['max_streams']}",
            when(user["last_login_at"], say) if user["last_login_at"] else say("never"),
            Text(say(state), style="green" if state == "usable" else "yellow"),
        )
    return table


def session_table(page: Json, say: Say) -> RenderableType:
    """A user's sessions."""
    table = make_table(
        say("user_sessions"),
        say("session"),
        say("source"),
        say("began"),
        say("used"),
        say("expires"),
        say("streams"),
        say("agent"),
    )
    for item in page["items"]:
        table.add_row(
            item["session_id"],
            item["source"],
            when(item["created_at"], say),
            when(item["used_at"], say),
            when(item["expires_at"], say, ago=False),
            str(item["streams"]),
            item["agent"],
        )
    return table
