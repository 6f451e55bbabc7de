"""`python -m askfit` is `askfit`."""

from askfit.cli import main

main()
