"""`millrace`: commands are clients of the HTTP API, except those that serve it and those that make
a cluster ready for it."""

import click

from millrace.deploy.cli.cluster import (
    bucket_command,
    keys_command,
    lag_command,
    migrate_command,
    reconcile_command,
    topics_command,
)
from millrace.deploy.cli.demo import demo_command
from millrace.deploy.cli.demo_stack import demo_stack_command
from millrace.deploy.cli.gateway import edge_command, gateway_command
from millrace.deploy.cli.operations import (
    dead_letters_command,
    describe_command,
    fsck_command,
    log_command,
    rebuild_command,
)
from millrace.deploy.cli.up import up_command
from millrace.deploy.cli.upload import upload_command
from millrace.deploy.cli.videos import (
    explain_command,
    status_command,
    videos_command,
    views_command,
)
from millrace.deploy.cli.worker import worker_command

COMMANDS = (
    up_command,
    demo_command,
    upload_command,
    videos_command,
    status_command,
    explain_command,
    views_command,
    log_command,
    dead_letters_command,
    describe_command,
    rebuild_command,
    fsck_command,
    demo_stack_command,
    gateway_command,
    edge_command,
    worker_command,
    topics_command,
    migrate_command,
    bucket_command,
    keys_command,
    lag_command,
    reconcile_command,
)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="millrace")
def main() -> None:
    """A video platform whose only truth is a log of events."""


for command in COMMANDS:
    main.add_command(command)
