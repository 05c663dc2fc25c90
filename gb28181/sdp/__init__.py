"""Session descriptions: RFC 4566 with the fields GB/T 28181 adds (2022 Annex G)."""
