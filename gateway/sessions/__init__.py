"""Media sessions: live today; playback, download and talk are further kinds of the same."""
