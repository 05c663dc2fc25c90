"""Run the command line: `python -m gateway`."""

from gateway.cli.main import main

__all__: list[str] = []

if __name__ == "__main__":
    main()
