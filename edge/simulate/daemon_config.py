"""The configuration of a daemon that listens to the simulated shop, as TOML. Pure text."""

from edge.simulate.shop_settings import ShopSettings
from edge.simulate.stock import zones_of


def daemon_config(
    shop: ShopSettings, *, broker_port: int, directory: str, bind: str, departed_after_s: int = 600
) -> str:
    """What to write into ``config.toml``.

    ``departed_after_s`` is short in a demo, whose days are: nobody would see a tag depart else.

    >>> text = daemon_config(ShopSettings(), broker_port=1883, directory="var", bind="127.0.0.1:0")
    >>> [line for line in text.splitlines() if line.startswith("store")]
    ['store = "main"']
    """
    tables = [
        f'[shop]\nstore = "{shop.store}"\ntimezone = "{shop.timezone}"',
        f'[mqtt]\nhost = "127.0.0.1"\nport = {broker_port}\nclient_id = "rfid3-demo"',
        f"[presence]\ndeparted_after_s = {departed_after_s}",
        f'[storage]\ndirectory = "{directory}"',
        f'[api]\nbind = "{bind}"',
        "[[sources]]  # the handhelds name themselves in their topic\n"
        'topic = "handheld/+/scans"\nformat = "rfid3"\nreader_level = 1',
    ]
    for zone, (kind, readers) in zones_of().items():
        names = ", ".join(f'"{reader}"' for reader in readers)
        tables.append(f'[[zones]]\nname = "{zone}"\nkind = "{kind}"\nreaders = [{names}]')
    return "\n\n".join(tables) + "\n"
