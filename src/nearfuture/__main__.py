"""`python -m nearfuture` is the command line."""

from nearfuture.cli import main

main()
