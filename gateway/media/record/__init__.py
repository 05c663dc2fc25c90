"""Recording to fragmented MP4 files, and reading them back."""
