"""A service's listening socket."""

import socket

import pytest

from shared.errors import SwarmError
from shared.listening import listen


def test_no_answer_waits_for_an_acknowledgement_of_its_first_packet():
    """Forty milliseconds for each question and each signature, where connections are kept."""
    with listen("127.0.0.1", 0, "PORT") as sock, socket.create_connection(sock.getsockname()):
        accepted, _ = sock.accept()
        with accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_a_taken_port_is_one_line_that_names_the_variable():
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(SwarmError, match="set IDENTITY_PORT"):
        listen("127.0.0.1", taken.getsockname()[1], "IDENTITY_PORT")
