"""Who is registered, from where, since when; their channels and what happened to them."""
