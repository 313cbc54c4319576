"""`python -m resumable` is `resumable`."""

from resumable.cli import main

if __name__ == "__main__":
    main(prog_name="resumable")
