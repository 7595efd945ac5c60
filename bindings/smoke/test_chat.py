"""Drives the library from Python, the plainest of its languages, against a real `sampan-service`.

The generated module `sampan` and the library lie in the folder that SAMPAN_PYTHON names
(`cargo xtask bindings python` makes it); SAMPAN_SERVICE_BIN is the service's program.
"""

import asyncio
import contextlib
import os
import subprocess
import sys
import tempfile
import threading
import unittest

sys.path.insert(0, os.environ["SAMPAN_PYTHON"])

import sampan  # noqa: E402

# How long anything may take before a test fails, in seconds.
PATIENCE = 20


@contextlib.contextmanager
def service(folder):
    """A service of its own on a free port; gives its URL."""
    command = [os.environ["SAMPAN_SERVICE_BIN"], "--listen", "127.0.0.1:0", "--data",
               os.path.join(folder, "service"), "--app", "smoke:smoke-key:smoke-master-key"]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        yield child.stdout.readline().rsplit(" ", 1)[-1].strip()
    finally:
        child.terminate()
        child.wait(PATIENCE)
        child.stdout.close()


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


def words_of(page):
    """The words of a timeline, oldest first."""
    return [item.message.content.text for item in page.items if not item.is_GAP()]


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
        return sampan.Engine.open(sampan.default_config("smoke", "smoke-key", server, root))

    async def online(self, engine, name):
        client = await engine.client(name, sampan.ClientOptions())
        await client.connect()
        await asyncio.wait_for(client.opened(), PATIENCE)
        return client

    async def named(self, client):
        """The client's one conversation, as soon as the service has told what it is called.

        A message may come before that: then the conversation is in the list without a name.
        """
        async def until_named():
            while True:
                page = await client.conversations(None, 10)
                (info,) = page.conversations
                if info.name is not None:
                    return info
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
        self.assertTrue(sent.message.state.is_PENDING())
        await notebook.until(heard("hello from Python"))

        info = await self.named(ben)
        self.assertEqual(info.name, "Boats")
        talk = await ben.conversation(info.id)
        self.assertEqual(words_of(await talk.page(None, 10)), ["hello from Python"])
        self.assertEqual((await ben.unread_totals()).all.messages, 1)
        await talk.mark_read()
        self.assertEqual((await ben.unread_totals()).all.messages, 0)

        subscription.cancel()
        for engine in (phone, laptop):
            await engine.shutdown()
        with self.assertRaises(sampan.SampanError.Closed):
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
        self.assertEqual(words_of(await created.conversation.page(None, 10)), ["one", "two"])
        for subscription in subscriptions:
            subscription.cancel()
        await engine.shutdown()

    # D09: what an extension leaves is unsent work of the app.
    async def test_what_an_extension_left_is_in_the_outbox_when_the_client_opens(self):
        inbox = os.path.join(self.folder, "inbox")
        server = sampan.ServerAddress.ROUTER("http://127.0.0.1:9")
        config = sampan.default_config("smoke", "smoke-key", server, self.folder + "/phone")
        config.inbox_folder = inbox
        talk = "5a0000000000000000000000"
        left = sampan.ExtensionInbox.open(inbox, "smoke", "ann", None)
        local_id = left.send_text(talk, "from an extension")
        engine = sampan.Engine.open(config)
        ann = await engine.client("ann", sampan.ClientOptions())
        self.assertEqual([entry.local_id for entry in await ann.outbox()], [local_id])
        self.assertEqual(ann.inbox_report().imported, 1)
        left.mark_read(talk, 1_700_000_000_000)
        self.assertEqual((await ann.import_inbox()).imported, 1)
        with self.assertRaises(sampan.SampanError.WrongKey):
            await ann.change_store_key("0" * 64, "1" * 64)
        await engine.shutdown()

    async def test_errors_have_their_own_types_and_say_what_is_wrong(self):
        engine = self.engine("phone")
        with self.assertRaises(sampan.SampanError.InvalidArgument) as caught:
            await engine.client("", sampan.ClientOptions())
        self.assertIn("1 to 64 characters", caught.exception.reason)
        with self.assertRaises(sampan.SampanError.InvalidArgument):
            sampan.default_config("", "key", sampan.ServerAddress.ROUTER("http://x.org"), "x")
        with self.assertRaises(sampan.SampanError.InvalidArgument):
            self.engine("tablet", "no address at all")
        ann = await engine.client("ann", sampan.ClientOptions())
        with self.assertRaises(sampan.SampanError.NotFound):
            await ann.conversation("5a0000000000000000000000")
        with self.assertRaises(sampan.SampanError.NotConnected):
            await ann.fetch_conversation("5a0000000000000000000000")
        with self.assertRaises(sampan.SampanError.TagMismatch):
            await engine.client("ann", sampan.ClientOptions(tag="desk"))
        await engine.shutdown()

    # S017: the version is one call.
    def test_the_library_tells_its_version(self):
        self.assertRegex(sampan.library_version(), r"^\d+\.\d+\.\d+$")


if __name__ == "__main__":
    unittest.main()
