"""What each upper platform sees: its catalogue, under its codes, kept up to date and told in time."""
