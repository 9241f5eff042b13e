"""`minerpulse manifest`: print the Slack app manifest."""

import re

import click

from bot.manifest import PLACEHOLDER, base_url, build_manifest, format_manifest


@click.command()
@click.option("--url", help=f"Where Slack reaches this app, as in {PLACEHOLDER}.")
@click.option("--socket", is_flag=True, help="For Socket Mode, which needs no address.")
@click.option("--distributed", is_flag=True, help="For many workspaces that install the app by OAuth.")
def command(*, url: str | None, socket: bool, distributed: bool) -> None:
    """Print the manifest to create the Slack app from, at https://api.slack.com/apps."""
    if socket and url:
        raise click.UsageError("--socket needs no --url: Slack is reached over a socket that the app opens.")
    if socket and distributed:
        raise click.UsageError("--socket serves one workspace: many install the app over HTTP.")
    if url and not re.fullmatch(r"https://[^/\s]+(/\S*)?", url):
        raise click.BadParameter(f"Slack calls https addresses only; write it as in {PLACEHOLDER}.", param_hint="--url")
    if not url and not socket:
        click.echo(f"{PLACEHOLDER} stands for this app's address; give --url, or --socket.", err=True)
    address = None if socket else base_url(url or PLACEHOLDER)
    click.echo(format_manifest(build_manifest(address, distributed=distributed)))
