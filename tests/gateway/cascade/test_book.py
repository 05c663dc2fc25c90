"""The book of upper platforms: what is kept, what is refused, who is told."""

import asyncio
import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.cascade.book import MAX_PLATFORMS
from gateway.cascade.book_check import MAX_DEPTH, MAX_NODES, check_platform
from gateway.cascade.book_document import from_document, to_document
from gateway.domain.audit import AuditKind
from gateway.domain.errors import Conflict, Invalid, NotFound, Unavailable
from gateway.domain.platform import (
    Edition,
    IdMode,
    PlatformAddress,
    PlatformConfig,
    TreeMode,
    TreeNode,
)
from gateway.domain.policy import Subject
from gateway.domain.selector import ChannelSelector
from tests.support.platform_book import OWN_ID, UPPER_ID, AuditList, MemoryDocuments, book, platform

GROUP = "37132600002150000001"
ORGANISATION = "37132600002160000001"

FULL = platform(
    transport="TLS",
    tls_verify=False,
    tls_ca="/etc/ca.pem",
    domain="3713000000",
    local_id="37132600002000000009",
    username="county",
    edition=Edition.V2022,
    charset="UTF-8",
    expires=3600,
    keepalive_interval=30.0,
    keepalive_misses=5,
    retry_delay=90.0,
    rtcp=True,
    echo_ssrc=False,
    zone="government",
    require_identity=True,
    trusted_gateways=("37130000002110000001",),
    id_mode=IdMode.RENAME,
    tree=TreeMode.CUSTOM,
    nodes=(
        TreeNode(node_id="371326", name="平邑县"),
        TreeNode(node_id=GROUP, name="Group", parent_id="371326"),
        TreeNode(
            node_id=ORGANISATION,
            name="Schools",
            parent_id=GROUP,
            select=ChannelSelector(
                civil_codes=("371326", "371327"),
                tags=frozenset({"school"}),
                kinds=frozenset({"camera"}),
            ),
        ),
    ),
    catalog_batch=50,
    catalog_push=True,
    max_sessions=20,
    addresses=(PlatformAddress("203.0.113.5", 5061), PlatformAddress("upper.example", 5061)),
)


async def test_what_was_saved_is_there_after_a_restart_with_its_password_sealed() -> None:
    documents = MemoryDocuments()
    first = book(documents)
    saved = await first.save(FULL, "secret-12345")

    again = book(documents)
    await again.load()
    assert again.list() == [saved] == [replace(FULL, has_password=True)]
    assert again.password(UPPER_ID) == "secret-12345"
    assert "secret-12345" not in json.dumps(documents.collections)


async def test_a_password_stays_until_it_is_replaced_or_removed() -> None:
    one = book()
    await one.save(platform(), "first")
    await one.save(platform(name="Renamed"))
    assert one.password(UPPER_ID) == "first"
    assert one.get(UPPER_ID).has_password

    await one.save(platform(), "")
    assert one.password(UPPER_ID) == ""
    assert not one.get(UPPER_ID).has_password


async def test_changes_are_told_once_they_are_durable_and_put_on_record_without_the_password() -> (
    None
):
    documents, audit = MemoryDocuments(), AuditList()
    one = book(documents, audit=audit)
    told: list[str] = []
    one.on_changed.append(told.append)
    documents.held = []
    async with asyncio.TaskGroup() as group:
        group.create_task(one.save(platform(), "topsecret", by=Subject(role="admin", user="li")))
        await asyncio.sleep(0.01)
        assert (told, audit.entries) == ([], [])
        documents.held[0].set_result(None)
    documents.held = None
    await one.save(platform(zone="police", expires=7200), by=Subject(role="admin", user="li"))
    await one.delete(UPPER_ID)

    assert told == [UPPER_ID] * 3
    assert [entry.action for entry in audit.entries] == ["create", "change", "delete"]
    assert {entry.kind for entry in audit.entries} == {AuditKind.PLATFORM}
    assert audit.entries[0].subject == {"role": "admin", "user": "li"}
    assert "zone:  -> police" in audit.entries[1].detail
    assert "expires: 86400 -> 7200" in audit.entries[1].detail
    assert "topsecret" not in repr(audit.entries)
    assert one.list() == []


async def test_saving_what_is_there_already_disturbs_nobody() -> None:
    audit = AuditList()
    one = book(audit=audit)
    await one.save(platform(), "secret")
    told: list[str] = []
    one.on_changed.append(told.append)
    await one.save(platform())
    assert (told, len(audit.entries)) == ([], 1)
    await one.save(platform(), "secret")
    assert (told, len(audit.entries)) == ([UPPER_ID], 2)


async def test_a_store_that_fails_changes_nothing() -> None:
    documents = MemoryDocuments()
    one = book(documents)
    told: list[str] = []
    one.on_changed.append(told.append)
    documents.broken = True
    with pytest.raises(Unavailable):
        await one.save(platform(), "secret")
    assert one.find(UPPER_ID) is None

    documents.broken = False
    kept = await one.save(platform(), "secret")
    documents.broken = True
    with pytest.raises(Unavailable):
        await one.save(platform(name="Other"), "other")
    with pytest.raises(Unavailable):
        await one.delete(UPPER_ID)
    assert one.get(UPPER_ID) == kept
    assert one.password(UPPER_ID) == "secret"
    assert told == [UPPER_ID]


async def test_duplicates_strangers_and_too_many_are_refused() -> None:
    one = book()
    await one.save(platform(), new=True)
    with pytest.raises(Conflict, match="configured already"):
        await one.save(platform(), new=True)
    with pytest.raises(NotFound):
        await one.save(platform("37130000002000000002"), new=False)
    with pytest.raises(NotFound):
        one.get("37130000002000000002")
    with pytest.raises(NotFound):
        await one.delete("37130000002000000002")
    for number in range(2, MAX_PLATFORMS + 1):
        await one.save(platform(f"3713000000200{number:07d}"))
    with pytest.raises(Conflict, match=str(MAX_PLATFORMS)):
        await one.save(platform("37130000002009999999"))
    await one.save(platform(name="A change is no addition"))


async def test_a_document_that_cannot_be_used_is_left_out_and_the_others_load() -> None:
    documents = MemoryDocuments()
    await book(documents).save(platform())
    kept = documents.collections["platforms"]
    kept["37130000002000000002"] = kept[UPPER_ID] | {"edition": "2030"}
    kept["37130000002000000003"] = kept[UPPER_ID] | {"expires": "soon"}
    kept["37130000002000000004"] = kept[UPPER_ID] | {"addresses": [["127.0.0.1"]]}
    kept["nonsense"] = {}
    kept["37130000002000000005"] = {"addresses": [["127.0.0.1", 5060]], "retired_option": 1}

    one = book(documents)
    await one.load()
    assert [config.platform_id for config in one.list()] == [UPPER_ID, "37130000002000000005"]


async def test_a_password_of_another_key_is_told_when_it_is_needed() -> None:
    documents = MemoryDocuments()
    await book(documents).save(platform(), "secret")
    documents.collections["platforms"][UPPER_ID]["password"] = "damaged"
    one = book(documents)
    await one.load()
    with pytest.raises(Unavailable, match="another key"):
        one.password(UPPER_ID)


def test_our_own_code_is_a_loop_unless_we_register_under_another() -> None:
    with pytest.raises(Invalid, match="a loop"):
        check_platform(platform(OWN_ID), own_id=OWN_ID)
    check_platform(platform(OWN_ID, local_id="37132600002000000002"), own_id=OWN_ID)
    with pytest.raises(Invalid, match="a loop"):
        check_platform(platform(local_id=UPPER_ID), own_id=OWN_ID)


def chain(length: int) -> tuple[TreeNode, ...]:
    codes = [f"3713260000216{number:07d}" for number in range(length)]
    top = TreeNode(node_id=GROUP, name="g")
    parents = [GROUP, *codes]
    return (
        top,
        *(TreeNode(node_id=c, name="o", parent_id=p) for c, p in zip(codes, parents, strict=False)),
    )


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"platform_id": "3713"}, "platform_id: expected 20 digits"),
        ({"platform_id": "\uff13" * 20}, "platform_id"),
        ({"name": "a\nb"}, "name"),
        ({"name": "x" * 200}, "name"),
        ({"addresses": ()}, "at least one host"),
        ({"addresses": (PlatformAddress("127.0.0.1", 0),)}, "port"),
        ({"addresses": (PlatformAddress("10.0.0.256", 5060),)}, "host name"),
        ({"addresses": (PlatformAddress("a b", 5060),)}, "host name"),
        ({"addresses": (PlatformAddress("0.0.0.0", 5060),)}, "host name"),
        ({"addresses": (PlatformAddress("h", 5060),) * 2}, "each once"),
        ({"addresses": tuple(PlatformAddress("h", n) for n in range(1, 10))}, "at most 8"),
        ({"transport": "udp"}, "UDP, TCP or TLS"),
        ({"local_id": "12"}, "local_id"),
        ({"domain": "a b"}, "domain"),
        ({"domain": 'x"y'}, "domain"),
        ({"username": 'li"'}, "username"),
        ({"zone": "-a"}, "zone"),
        ({"charset": "BIG5"}, "charset"),
        ({"expires": 0}, "expires: expected 60 to 604800, got '0'"),
        ({"expires": 10**9}, "expires"),
        ({"keepalive_interval": float("nan")}, "keepalive_interval"),
        ({"keepalive_interval": 0.1}, "keepalive_interval"),
        ({"keepalive_misses": 0}, "keepalive_misses"),
        ({"retry_delay": 0}, "retry_delay"),
        ({"max_sessions": 0}, "max_sessions"),
        ({"catalog_batch": -1}, "catalog_batch"),
        ({"trusted_gateways": ("1",)}, "trusted_gateways"),
        ({"tree": TreeMode.CUSTOM}, "at least one node"),
        ({"nodes": (TreeNode(node_id="37132600001320000001", name="x"),)}, "215 or 216"),
        ({"nodes": (TreeNode(node_id="371", name="x"),)}, "215 or 216"),
        ({"nodes": (TreeNode(node_id="371326", name=""),)}, "name of 371326"),
        ({"nodes": (TreeNode(node_id="371326", name="x"),) * 2}, "each code once"),
        ({"nodes": (TreeNode(node_id="371326", name="x", parent_id="37"),)}, "which is no node"),
        ({"nodes": (TreeNode(node_id=ORGANISATION, name="x"),)}, "needs a group"),
        ({"nodes": (TreeNode(node_id="3713", name="x", parent_id="3713"),)}, "circle"),
        ({"nodes": chain(MAX_DEPTH + 1)}, "deeper"),
        ({"nodes": chain(MAX_NODES)}, "at most"),
    ],
)
def test_what_cannot_work_is_refused_with_what_was_expected(
    changes: dict[str, Any], named: str
) -> None:
    with pytest.raises(Invalid, match=named) as refused:
        check_platform(replace(platform(), **changes), own_id=OWN_ID)
    assert refused.value.code == "invalid_platform"


async def test_a_password_no_registrar_could_take_is_refused_without_repeating_it() -> None:
    with pytest.raises(Invalid) as refused:
        await book().save(platform(), "top\r\nsecret")
    assert "top" not in refused.value.detail


def test_a_disabled_platform_needs_no_address_yet() -> None:
    check_platform(platform(addresses=(), enabled=False), own_id=OWN_ID)


def test_a_tree_as_deep_as_allowed_is_taken() -> None:
    check_platform(platform(nodes=chain(MAX_DEPTH)), own_id=OWN_ID)


words = st.text(max_size=8)


@given(
    config=st.builds(
        PlatformConfig,
        platform_id=st.just(UPPER_ID),
        name=words,
        addresses=st.lists(st.builds(PlatformAddress, words, st.integers(0, 99_999))).map(tuple),
        trusted_gateways=st.lists(words).map(tuple),
        nodes=st.lists(
            st.builds(
                TreeNode,
                node_id=words,
                name=words,
                parent_id=words,
                select=st.none()
                | st.builds(
                    ChannelSelector,
                    tags=st.frozensets(words),
                    civil_codes=st.lists(words, unique=True).map(
                        lambda items: tuple(sorted(items))
                    ),
                ),
            ),
            max_size=3,
        ).map(tuple),
        has_password=st.just(False),
    )
)
def test_a_configuration_survives_its_document(config: PlatformConfig) -> None:
    body = json.loads(json.dumps(to_document(config)))
    assert from_document(UPPER_ID, body) == config
