// The engine from plain Java.
package chat.sampan;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertThrows;

import chat.sampan.futures.ClientFutures;
import chat.sampan.futures.ConversationFutures;
import chat.sampan.futures.EngineFutures;
import chat.sampan.futures.TimelineFutures;
import java.io.File;
import java.nio.file.Path;
import java.time.ZoneOffset;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class JavaTest {
  @TempDir Path folder;

  @Test
  void aJavaAppSendsAndReadsWithFutures() throws Exception {
    File root = folder.resolve("phone").toFile();
    ServerAddress nobody = new ServerAddress.Router("http://127.0.0.1:9");
    Engine engine = Engine.Companion.open(new Config("java", new HiddenText("java-key"), nobody, root));
    EngineFutures engineLater = new EngineFutures(engine);
    Client ann = soon(engineLater.client("ann", new ClientOptions()));
    ClientFutures annLater = new ClientFutures(ann);
    NewConversation wanted =
        new NewConversation(ConversationKind.NORMAL, List.of("ben"), "Boats \uD83D\uDEA4");
    Conversation talk = soon(annLater.createConversation(wanted)).getConversation();
    ConversationFutures talkLater = new ConversationFutures(talk);
    soon(talkLater.sendText("hello from Java"));
    assertEquals(2, soon(annLater.outbox()).size());
    assertEquals("Boats \uD83D\uDEA4", soon(talkLater.info()).getName());
    ann.goOnline(null);

    CompletableFuture<?> never = annLater.waitOnline();
    never.cancel(true);
    assertEquals(true, never.isCancelled());
    soon(engineLater.shutdown());
    ExecutionException over =
        assertThrows(ExecutionException.class, () -> soon(annLater.outbox()));
    assertInstanceOf(SampanException.ShutDown.class, over.getCause());
    assertEquals("the engine is shut down", over.getCause().getMessage());
  }

  @Test
  void aJavaAppFollowsATimelineAndHearsOfMessagesThoughItsListenerThrows() throws Exception {
    File root = folder.resolve("follower").toFile();
    ServerAddress nobody = new ServerAddress.Router("http://127.0.0.1:9");
    try (Engine engine = Engine.Companion.open(new Config("java", new HiddenText("key"), nobody, root))) {
      Client ann = soon(new EngineFutures(engine).client("ann", new ClientOptions()));
      NewConversation wanted = new NewConversation(ConversationKind.NORMAL, List.of("ben"));
      Conversation talk = soon(new ClientFutures(ann).createConversation(wanted)).getConversation();
      ConversationFutures later = new ConversationFutures(talk);
      CountDownLatch heard = new CountDownLatch(2);
      EventSubscription subscription =
          ann.observe(
              events -> {
                for (Event event : events) {
                  if (event instanceof Event.MessageAdded) heard.countDown();
                }
                throw new IllegalStateException("an app that does not know what to do");
              });
      TimelineFutures timeline = new TimelineFutures(soon(later.timeline()));
      TimelineState state = new TimelineState().applied(soon(timeline.next(0L)));
      for (String text : List.of("one \uD83D\uDEA4", "two")) {
        CompletableFuture<TimelineUpdate> next = timeline.next(state.getVersion());
        soon(later.sendText(text));
        state = state.applied(soon(next));
        TimelineItem newest = state.getItems().get(state.getItems().size() - 1);
        assertEquals(text, ContentKt.getWords(ContentKt.getMessage(newest).getContent()));
      }
      assertEquals(true, heard.await(60, TimeUnit.SECONDS));
      subscription.cancel();
      assertEquals(1, DaysKt.days(state.getItems(), ZoneOffset.UTC).size());
      soon(new EngineFutures(engine).shutdown());
    }
  }

  private static <T> T soon(CompletableFuture<T> future) throws Exception {
    return future.get(60, TimeUnit.SECONDS);
  }
}
