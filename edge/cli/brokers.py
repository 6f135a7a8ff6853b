"""Which broker the commands that publish mean. Not a command."""

import argparse
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edge.config import Mqtt


def add_broker(parser: argparse.ArgumentParser) -> None:
    """Add ``--broker HOST:PORT`` and who we are there."""
    parser.add_argument(
        "--broker",
        metavar="HOST:PORT",
        default="127.0.0.1:1883",
        help="the broker to publish to (default %(default)s)",
    )
    parser.add_argument(
        "--user", default="", help="user name; the password is read from RFID3_MQTT__PASSWORD"
    )


def broker_settings(args: argparse.Namespace) -> "Mqtt":
    """The broker that ``--broker`` names. Raises WrongUsage."""
    from edge.config import Mqtt
    from edge.errors import WrongUsage

    host, _, port = args.broker.rpartition(":")
    if not host:
        host, port = args.broker, "1883"
    if not port.isdigit() or not 0 < int(port) < 65_536:
        raise WrongUsage(f"--broker {args.broker}: write HOST:PORT, such as 127.0.0.1:1883")
    password = os.environ.get("RFID3_MQTT__PASSWORD", "")
    return Mqtt(host=host.strip("[]"), port=int(port), username=args.user, password=password)
