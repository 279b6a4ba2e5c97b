"""What `relay alarm` says."""

from typing import Final

TEXTS: Final[dict[str, tuple[str, str]]] = {
    "alarm.headers": ("weg|naar|uitkomst", "way|to|outcome"),
    "alarm.told": ("verzonden; kijk of hij aankwam", "sent; see whether it came"),
    "alarm.none": (
        "er is geen weg voor alarmen; noem er een bij [[alarm]] in relay.toml",
        "there is no way for alarms; name one at [[alarm]] in relay.toml",
    ),
}
