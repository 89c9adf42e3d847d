"""`python -m millrace.deploy.cli`: the command line where no console script is installed."""

from millrace.deploy.cli import main

main()
