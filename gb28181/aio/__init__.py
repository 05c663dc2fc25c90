"""The asyncio side: the only part of the library that opens sockets, reads clocks and starts tasks."""
