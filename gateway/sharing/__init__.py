"""Who may see, watch and control what, and the record of it."""
