"""Dialogs and the INVITE sessions that use them (RFC 3261 12 to 15)."""
