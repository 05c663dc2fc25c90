"""The command line: starts the gateway, and shows what a running one says over its API."""
