"""GB/T 28181 protocol library: a sans-IO core and, in `gb28181.aio`, its asyncio driver."""
