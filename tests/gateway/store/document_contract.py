"""What every store must do with documents and codes given out; run for each database beside it."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from sqlalchemy import text

from gateway.domain.document import SharedId
from gateway.domain.errors import Unavailable
from gateway.observe.metrics import Metrics
from gateway.store.database import connect
from gateway.store.sql import SqlStore

__all__ = ["DocumentContract"]

UPPER = "37130000002000000001"
OTHER = "37140000002000000001"

Opened = Callable[[], SqlStore]
Execute = Callable[[str], Awaitable[None]]


def shared(number: int, platform_id: str = UPPER, **changes: str) -> SharedId:
    values = {
        "platform_id": platform_id,
        "shared_id": f"3713000000131{number:07d}",
        "device_id": "34020000001320000001",
        "channel_id": f"3402000000131{number:07d}",
    }
    return SharedId(**values | changes)


async def ids_of(store: SqlStore, platform_id: str = UPPER) -> set[SharedId]:
    return {each async for part in store.load_shared_ids(platform_id) for each in part}


class DocumentContract:
    """Mixed into one class per database, which gives `url`."""

    @pytest.fixture
    def opened(self, url: str) -> Opened:
        return lambda: SqlStore(url, Metrics(process=False), group_commit=0.005)

    @pytest.fixture
    def execute(self, url: str) -> Execute:
        async def execute(statement: str) -> None:
            engine = await connect(url)
            async with engine.begin() as connection:
                await connection.execute(text(statement))
            await engine.dispose()

        return execute

    async def test_documents_come_back_as_they_were_in_the_order_of_their_keys(
        self, opened: Opened
    ) -> None:
        body: dict[str, Any] = {
            "名": "东门 \x00 \ud800 \u2028",
            "n": 1.5,
            "big": 10**30,
            "list": [None, True],
            "in": {},
        }
        async with opened() as store:
            for key in ("b", "甲", "B", "a", "_", "10", "9"):
                await store.save_document("grants", key, body | {"key": key})
            await store.save_document("keys", "a", {})
        async with opened() as store:
            found = await store.load_documents("grants")
            assert list(found) == ["10", "9", "B", "_", "a", "b", "甲"]
            assert found["甲"] == body | {"key": "甲"}
            assert await store.load_documents("keys") == {"a": {}}
            assert await store.load_documents("nothing") == {}

    async def test_a_document_is_written_as_it_was_when_it_was_saved(self, opened: Opened) -> None:
        body = {"state": "applied"}
        async with opened() as store:
            saved = store.save_document("grants", "1", body)
            body["state"] = "changed afterwards"
            await saved
            assert await store.load_documents("grants") == {"1": {"state": "applied"}}

    async def test_of_saves_and_deletions_the_last_one_counts(self, opened: Opened) -> None:
        async with opened() as store:
            for number in range(20):
                _ = store.save_document("grants", "1", {"n": number})
                _ = store.delete_document("grants", "2")
                _ = store.save_document("grants", "2", {"n": number})
                _ = store.save_document("grants", "3", {"n": number})
                _ = store.delete_document("grants", "3")
        async with opened() as store:
            assert await store.load_documents("grants") == {"1": {"n": 19}, "2": {"n": 19}}
            await store.delete_document("grants", "was never there")

    async def test_what_is_no_json_is_refused_at_once(self, opened: Opened) -> None:
        async with opened() as store:
            with pytest.raises(TypeError):
                _ = store.save_document("grants", "1", {"x": object()})
            with pytest.raises(ValueError, match="not JSON compliant"):
                _ = store.save_document("grants", "1", {"x": float("nan")})
            assert await store.load_documents("grants") == {}

    async def test_a_forgotten_device_takes_no_document_along(self, opened: Opened) -> None:
        async with opened() as store:
            saved = store.save_document("grants", "1", {"n": 1})
            given = store.save_shared_ids([shared(1)])
            _ = store.forget_device("34020000001320000001")
            await saved
            await given

    async def test_codes_come_back_and_a_platform_sees_its_own_only(self, opened: Opened) -> None:
        given = [shared(number) for number in range(5000)]
        node = shared(5001, device_id="", channel_id="node-3")
        async with opened() as store:
            saved = store.save_shared_ids([*given, node])
            other = store.save_shared_ids([shared(1, OTHER), shared(2, OTHER)])
            await saved
            await other
        async with opened() as store:
            assert await ids_of(store) == {*given, node}
            await store.forget_shared_ids(UPPER)
            assert await ids_of(store) == set()
            assert await ids_of(store, OTHER) == {shared(1, OTHER), shared(2, OTHER)}

    async def test_codes_are_forgotten_and_given_again_in_the_order_of_the_calls(
        self, opened: Opened
    ) -> None:
        async with opened() as store:
            _ = store.save_shared_ids([shared(number) for number in range(3000)])
            _ = store.forget_shared_ids(UPPER)
            await store.save_shared_ids([shared(7, channel_id="after")])
            assert await ids_of(store) == {shared(7, channel_id="after")}

    async def test_a_code_is_never_given_to_another_item(self, opened: Opened) -> None:
        async with opened() as store:
            await store.save_shared_ids([shared(1), shared(2)])
            await store.save_shared_ids([shared(1)])
            stolen = store.save_shared_ids([shared(3), shared(1, channel_id="another")])
            moved = store.save_shared_ids([shared(2, device_id="another")])
            harmless = store.save_shared_ids([shared(4)])
            await harmless
            for refused in (stolen, moved):
                with pytest.raises(Unavailable, match="the store refused a value"):
                    await refused
            assert await ids_of(store) == {shared(1), shared(2), shared(4)}
            assert store.health().ok
            await store.save_shared_ids([])

    async def test_a_failing_database_fails_the_writes(
        self, opened: Opened, execute: Execute
    ) -> None:
        async with opened() as store:
            await execute("ALTER TABLE documents RENAME TO away")
            with pytest.raises(Unavailable, match="does not work since"):
                await store.save_document("grants", "1", {})
            with pytest.raises(Unavailable, match="cannot be read"):
                await store.load_documents("grants")
            await execute("ALTER TABLE away RENAME TO documents")
            async with asyncio.timeout(15):
                while not store.health().ok:
                    await asyncio.sleep(0.05)
                    _ = store.save_document("grants", "1", {})
