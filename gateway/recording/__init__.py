"""Recording: who is recorded when, what is kept for how long, and what can be seen again."""
