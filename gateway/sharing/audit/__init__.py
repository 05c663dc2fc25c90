"""The audit: every access on record, chained by SM3, signed, searched, exported and verified."""
