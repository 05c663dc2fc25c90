"""Schema revisions, applied at every start."""
