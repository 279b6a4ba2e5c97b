"""The nodes that share a queue, on the page of one of them."""

from pathlib import Path

from browser.conftest import ReaderOf
from fakes.peers import needs
from fakes.relay_process import RelayProcess
from fakes.stores import PostgresStore
from playwright.sync_api import expect

SMARTHOST = """
[[smarthost]]
name = "isp"
host = "127.0.0.1"
port = 9
tls = "none"
max_connections = {connections}
"""


@needs("postgres")
def test_every_node_and_which_has_another_configuration(
    tmp_path: Path, postgres_store: PostgresStore, reader_of: ReaderOf, artefacts: Path
) -> None:
    nodes = []
    for connections in (1, 2):
        directory = tmp_path / str(connections)
        directory.mkdir()
        node = RelayProcess(directory, SMARTHOST.format(connections=connections))
        node.spool_url = postgres_store.url
        nodes.append(node)
    with nodes[0], nodes[1]:
        reader = reader_of(nodes[0]).open("today")
        table = reader.main.get_by_role("table", name="Nodes that share this queue")
        expect(table.get_by_role("row")).to_have_count(3)
        expect(table.get_by_role("row").filter(has_text="this one")).to_contain_text("Works")
        expect(table.get_by_text("Other relay.toml")).to_be_visible()
        expect(reader.main.get_by_role("status").first).to_contain_text("relay.toml")
        reader.has_no_barriers()
        reader.shot(artefacts / "nodes.png")
        narrow = reader_of(nodes[0], viewport={"width": 360, "height": 740}).open("today")
        assert narrow.width_too_much() == 0
        narrow.shot(artefacts / "nodes-narrow.png")
