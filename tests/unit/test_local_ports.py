import pytest

from services.local.held import port_is_free
from services.local.ports import Want, pick, wants
from shared.errors import SwarmError

PAGE = Want("identity", 3000, "IDENTITY_PORT")
P2P = Want("p2p", 38331, "P2P_PORT", 3)


def choose(wanted, environ=None, kept=None, taken=()):
    return pick(wanted, environ or {}, kept or {}, lambda port: port not in taken, lambda _: "node (pid 7)")


def test_free_defaults_are_taken_silently():
    picked = choose([PAGE, P2P])
    assert picked.ports == {"identity": 3000, "p2p": 38331}
    assert picked.notes == []


def test_a_taken_default_moves_to_the_next_free_port_and_says_who_has_it():
    picked = choose([PAGE], taken={3000, 3001})
    assert picked.ports == {"identity": 3002}
    assert picked.notes == ["port 3000 for identity is taken by node (pid 7), took 3002"]


def test_consecutive_ports_are_free_all():
    assert choose([P2P], taken={38332}).ports == {"p2p": 38333}


def test_two_wants_never_get_the_same_port():
    ports = choose([Want("a", 9000), Want("b", 9000), Want("c", 9001)]).ports
    assert len(set(ports.values())) == 3


def test_a_port_named_in_the_environment_is_used():
    assert choose([PAGE], {"IDENTITY_PORT": "4000"}).ports == {"identity": 4000}


@pytest.mark.parametrize("off", ["", "None", "0"])
def test_a_port_switched_off_in_the_environment_is_as_if_not_set(off):
    assert choose([PAGE], {"IDENTITY_PORT": off}).ports == {"identity": 3000}


def test_a_taken_port_named_in_the_environment_is_an_error_with_its_remedy():
    with pytest.raises(SwarmError, match=r"IDENTITY_PORT asks for port 4000.*node \(pid 7\).*free port"):
        choose([PAGE], {"IDENTITY_PORT": "4000"}, taken={4000})


@pytest.mark.parametrize("text", ["http", "-1", "65536"])
def test_what_is_no_port_is_an_error(text):
    with pytest.raises(SwarmError, match="is not a port"):
        choose([PAGE], {"IDENTITY_PORT": text})


def test_a_restart_keeps_the_ports_of_the_first_start():
    assert choose([PAGE], kept={"identity": 3007}).ports == {"identity": 3007}


def test_no_free_port_at_all_is_an_error():
    with pytest.raises(SwarmError, match="no free port for identity"):
        choose([PAGE], taken=range(65536))


def test_only_what_runs_here_wants_a_port():
    names = {want.name for want in wants(["judge"], 3, own_redis=False, own_chain=False)}
    assert names == {"identity", "signer", "judge", "p2p", "health:judge"}


def test_a_port_with_a_listener_is_not_free():
    import socket

    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert not port_is_free(port)
        picked = pick([Want("identity", port, "IDENTITY_PORT")], {}, {})
        assert picked.ports["identity"] > port
        assert f"port {port} for identity is taken by py" in picked.notes[0]
    assert port_is_free(port)


def test_a_port_that_others_know_is_had_where_it_was_or_nowhere():
    known = Want("p2p", 38331, "P2P_PORT", 1, known=True)
    assert choose([known], taken={38331}).ports == {"p2p": 38332}  # nobody knows it yet
    assert choose([known], kept={"p2p": 40000}).ports == {"p2p": 40000}
    with pytest.raises(SwarmError, match=r"port 40000 for p2p is taken by node \(pid 7\), and others know.*P2P_PORT"):
        choose([known], kept={"p2p": 40000}, taken={40000})
    assert choose([known], {"P2P_PORT": "41000"}, kept={"p2p": 40000}, taken={40000}).ports == {"p2p": 41000}
    by_name = {want.name: want.known for want in wants([], 1, own_redis=True, own_chain=True, known=True)}
    assert {name for name, is_known in by_name.items() if is_known} == {"p2p", "chain"}
