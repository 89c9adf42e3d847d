"""`python -m millrace.deploy.stack up|stop|status`, which `make stack` and its kin run."""

from millrace.deploy.stack.commands import main

main(prog_name="stack")
