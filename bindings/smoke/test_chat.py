"""Drives the library from Python, the plainest of its languages, against a real `sampan-service`.

The generated module `sampan` and the library lie in the folder that SAMPAN_PYTHON names
(`cargo xtask bindings python` makes it); SAMPAN_SERVICE_BIN is the service's program.
"""

import asyncio
import contextlib
import hashlib
import hmac
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
import unittest

sys.path.insert(0, os.environ["SAMPAN_PYTHON"])

import sampan  # noqa: E402

# How long anything may take before a test fails, in seconds.
PATIENCE = 60


@contextlib.contextmanager
def service(folder, settings=None):
    """A service of its own on a free port; gives its URL. `settings` are those of its app."""
    command = [os.environ["SAMPAN_SERVICE_BIN"], "--listen", "127.0.0.1:0", "--data",
               os.path.join(folder, "service"), "--app", "smoke:smoke-key:smoke-master-key"]
    if settings is not None:
        file = os.path.join(folder, "settings.json")
        with open(file, "w", encoding="utf-8") as text:
            json.dump({"smoke": settings}, text)
        command += ["--settings", file]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        yield child.stdout.readline().rsplit(" ", 1)[-1].strip()
    finally:
        child.terminate()
        child.wait(PATIENCE)
        child.stdout.close()


def config(app, server, root):
    """A configuration with every default. Python has no layer that fills in those of enumerations."""
    return sampan.Config(
        app_id=app, app_key="smoke-key", server=server, store_root=root,
        offline_mode=sampan.OfflineMode.UNREAD, payload=sampan.PayloadEncoding.BINARY,
        insecure=sampan.InsecureConnections.LOOPBACK_ONLY, trust=sampan.TrustedRoots.WEB(),
        limits=sampan.hosted_limits())


class Notebook(sampan.EventObserver):
    """Writes down what it is told; fails when it is asked to."""

    def __init__(self, failing=False):
        self.events = []
        self.batches = 0
        self.failing = failing
        self.arrived = threading.Condition()

    def on_events(self, events):
        with self.arrived:
            self.batches += 1
            self.events.extend(events)
            self.arrived.notify_all()
        if self.failing:
            raise RuntimeError("an app that does not know what to do")

    async def until(self, holds):
        """Waits until something is true of what was written down."""
        def wait():
            with self.arrived:
                return self.arrived.wait_for(lambda: holds(self.events), PATIENCE)
        if not await asyncio.to_thread(wait):
            raise AssertionError(f"waited in vain; heard {[str(event) for event in self.events]}")


class Office(sampan.Signer):
    """The app's own server, which has the master key; it fails as often as it was told to."""

    def __init__(self, failures):
        self.failures = failures
        self.asked = []

    async def sign(self, operation):
        self.asked.append(operation)
        if len(self.asked) <= self.failures:
            raise RuntimeError("the office is closed")
        now = int(time.time() * 1000)
        members = "" if operation.is_SIGN_IN() else ":".join(sorted(operation.members))
        text = f"smoke:{operation.client}:{members}:{now}:n"
        signature = hmac.new(b"smoke-master-key", text.encode(), hashlib.sha1).hexdigest()
        return sampan.OperationSignature(signature=signature, timestamp=now, nonce="n")


class Notes(sampan.LogSink):
    """Keeps what it is told, and fails each time, which nobody hears of."""

    def __init__(self):
        self.records = []
        self.warned = threading.Event()

    def log(self, records, dropped):
        self.records.extend(records)
        if any(record.level == sampan.LogLevel.WARN for record in records):
            self.warned.set()
        raise RuntimeError("an app that does not know what to do")


async def words_of(conversation):
    """The words of a timeline, oldest first."""
    timeline = await conversation.timeline()
    (shown,) = (await timeline.next(0)).edits
    return [item.kind.message.content.text for item in shown.items if item.kind.is_MESSAGE()]


def heard(text):
    """Whether a message with these words was told."""
    def check(events):
        return any(event.is_MESSAGE_ADDED() and event.message.content.is_TEXT()
                   and event.message.content.text == text for event in events)
    return check


class ChatTest(unittest.IsolatedAsyncioTestCase):
    """Two engines in this process, one service beside it."""

    def setUp(self):
        self.folder = self.enterContext(tempfile.TemporaryDirectory())

    def engine(self, device, url="http://127.0.0.1:9"):
        """An engine with a folder of its own; without a URL it finds nobody."""
        server = sampan.ServerAddress.ROUTER(url)
        root = os.path.join(self.folder, device)
        return sampan.Engine.open(config("smoke", server, root))

    async def online(self, engine, name):
        client = await engine.client(name, sampan.ClientOptions())
        client.go_online()
        await asyncio.wait_for(client.wait_online(), PATIENCE)
        return client

    async def named(self, client):
        """The client's one conversation, as soon as the service has told what it is called.

        A message may come before that: then the conversation is in the list without a name.
        """
        async def until_named():
            while True:
                (shown,) = (await (await client.conversation_list()).next(0)).edits
                if shown.rows and shown.rows[0].name is not None:
                    return shown.rows[0]
                await asyncio.sleep(0.02)
        return await asyncio.wait_for(until_named(), PATIENCE)

    async def test_what_one_client_sends_another_receives_and_reads(self):
        url = self.enterContext(service(self.folder))
        phone, laptop = self.engine("phone", url), self.engine("laptop", url)
        ann, ben = await self.online(phone, "ann"), await self.online(laptop, "ben")
        notebook = Notebook()
        subscription = ben.observe(notebook)
        created = await ann.create_conversation(sampan.NewConversation(
            kind=sampan.ConversationKind.NORMAL, members=["ben"], name="Boats",
            uniqueness=sampan.Uniqueness.UNIQUE))
        sent = await created.conversation.send_text("hello from Python")
        self.assertTrue(sent.message.delivery.is_WAITING())
        await notebook.until(heard("hello from Python"))

        info = await self.named(ben)
        self.assertEqual(info.name, "Boats")
        talk = ben.conversation(info.conversation)
        self.assertEqual(await words_of(talk), ["hello from Python"])
        self.assertEqual((await ben.unread_totals()).all.messages, 1)
        await talk.mark_read()
        self.assertEqual((await ben.unread_totals()).all.messages, 0)

        subscription.cancel()
        for engine in (phone, laptop):
            await engine.shutdown()
        with self.assertRaises(sampan.SampanError.ShutDown):
            await ann.outbox()

    async def test_an_observer_that_raises_is_called_again_and_hurts_nobody(self):
        engine = self.engine("phone")
        ann = await engine.client("ann", sampan.ClientOptions())
        failing, quiet = Notebook(failing=True), Notebook()
        subscriptions = [ann.observe(failing), ann.observe(quiet)]
        created = await ann.create_conversation(sampan.NewConversation(
            kind=sampan.ConversationKind.NORMAL, members=["ben"],
            uniqueness=sampan.Uniqueness.UNIQUE))
        for text in ("one", "two"):
            await created.conversation.send_text(text)
            await failing.until(heard(text))
            await quiet.until(heard(text))
        self.assertGreaterEqual(failing.batches, 2)
        self.assertEqual(len(await ann.outbox()), 3, "the conversation and two messages wait")
        waiting = (await (await ann.outbox_list()).next(0)).edits[0].rows
        self.assertEqual([row.delivery.blocker.is_OFFLINE() for row in waiting], [True] * 3)
        self.assertEqual(await words_of(created.conversation), ["one", "two"])
        for subscription in subscriptions:
            subscription.cancel()
        await engine.shutdown()

    # D09: what an extension leaves is unsent work of the app.
    async def test_what_an_extension_left_is_in_the_outbox_when_the_client_opens(self):
        inbox = os.path.join(self.folder, "inbox")
        server = sampan.ServerAddress.ROUTER("http://127.0.0.1:9")
        phone = config("smoke", server, self.folder + "/phone")
        phone.inbox_folder = inbox
        phone.disk_budget = 64 << 20
        talk = "5a0000000000000000000000"
        left = sampan.ExtensionInbox.open(inbox, "smoke", "ann", None)
        local_id = left.send_text(talk, "from an extension")
        engine = sampan.Engine.open(phone)
        ann = await engine.client("ann", sampan.ClientOptions())
        self.assertEqual([entry.local_id for entry in await ann.outbox()], [local_id])
        self.assertEqual(ann.inbox_report().imported, 1)
        left.mark_read(talk, 1_700_000_000_000)
        self.assertEqual((await ann.import_inbox()).imported, 1)
        await ann.compact()
        usage = await ann.storage_usage()
        self.assertEqual((usage.unsent, usage.budget_bytes), (2, 64 << 20))
        self.assertLess(usage.live_bytes, usage.file_bytes)
        with self.assertRaises(sampan.SampanError.WrongKey):
            await ann.change_store_key("0" * 64, "1" * 64)
        await engine.shutdown()

    async def test_errors_have_their_own_types_and_say_what_is_wrong(self):
        engine = self.engine("phone")
        with self.assertRaises(sampan.SampanError.InvalidArgument) as caught:
            await engine.client("", sampan.ClientOptions())
        self.assertIn("1 to 64 characters", caught.exception.reason)
        with self.assertRaises(sampan.SampanError.InvalidArgument):
            sampan.Engine.open(config("", sampan.ServerAddress.ROUTER("http://x.invalid"), "x"))
        with self.assertRaises(sampan.SampanError.InvalidArgument):
            self.engine("tablet", "no address at all")
        ann = await engine.client("ann", sampan.ClientOptions())
        with self.assertRaises(sampan.SampanError.NotFound):
            await ann.conversation("5a0000000000000000000000").info()
        with self.assertRaises(sampan.SampanError.NotConnected):
            await ann.fetch_conversation("5a0000000000000000000000")
        with self.assertRaises(sampan.SampanError.TagMismatch):
            await engine.client("ann", sampan.ClientOptions(tag="desk"))
        await engine.shutdown()

    async def test_a_signer_brings_what_the_service_wants_signed_and_is_asked_again(self):
        settings = {"signatures": {"login": True, "conversation": True}}
        url = self.enterContext(service(self.folder, settings))
        office = Office(failures=1)
        # The signer is called on the engine's thread, which has no event loop of its own.
        sampan.uniffi_set_event_loop(asyncio.get_running_loop())
        self.addCleanup(sampan.uniffi_set_event_loop, None)
        engine = self.engine("phone", url)
        ann = await engine.client("ann", sampan.ClientOptions(signer=office))
        created = await ann.create_conversation(sampan.NewConversation(
            kind=sampan.ConversationKind.NORMAL, members=["ben"],
            uniqueness=sampan.Uniqueness.UNIQUE))
        self.assertEqual(office.asked, [], "nothing is signed before it is sent")
        ann.go_online()
        await asyncio.wait_for(ann.wait_online(), PATIENCE)

        async def everything_is_sent():
            while await ann.outbox():
                await asyncio.sleep(0.02)
        await asyncio.wait_for(everything_is_sent(), PATIENCE)
        self.assertEqual([operation.is_SIGN_IN() for operation in office.asked],
                         [True, True, False])
        self.assertTrue((await created.conversation.info()).state.is_LIVE())
        await engine.shutdown()

    async def test_notes_reach_the_sink_and_hold_no_secrets(self):
        notes = Notes()
        sampan.set_log_sink(notes, sampan.LogLevel.DEBUG)
        engine = self.engine("phone")
        ann = await engine.client("ann", sampan.ClientOptions())
        ann.go_online()
        self.assertTrue(await asyncio.to_thread(notes.warned.wait, PATIENCE))
        for record in list(notes.records):
            self.assertTrue(record.target.startswith("sampan"), record.target)
            self.assertNotIn("smoke-key", record.text)
        self.assertTrue(engine.connection_failure().is_UNREACHABLE())
        await engine.shutdown()

    async def test_a_call_that_may_last_ends_when_it_is_cancelled(self):
        engine = self.engine("phone")
        ann = await engine.client("ann", sampan.ClientOptions())
        ann.go_online()
        # Nobody listens there, so the session never opens.
        waiting = asyncio.create_task(ann.wait_online())
        await asyncio.sleep(0)
        waiting.cancel()
        with self.assertRaises(asyncio.CancelledError):
            await asyncio.wait_for(waiting, PATIENCE)
        self.assertEqual(await ann.outbox(), [], "everything else goes on")
        await engine.shutdown()

    # S017: the version is one call.
    def test_the_library_tells_its_version(self):
        self.assertRegex(sampan.library_version(), r"^\d+\.\d+\.\d+$")


if __name__ == "__main__":
    unittest.main()
