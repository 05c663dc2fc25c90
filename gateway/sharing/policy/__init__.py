"""The sharing policy: its file, its engine, its dry run and its versions."""
