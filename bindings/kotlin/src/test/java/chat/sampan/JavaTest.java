// The engine from plain Java.
package chat.sampan;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertThrows;

import chat.sampan.futures.ClientFutures;
import chat.sampan.futures.ConversationFutures;
import chat.sampan.futures.EngineFutures;
import java.io.File;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.CompletableFuture;
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

  private static <T> T soon(CompletableFuture<T> future) throws Exception {
    return future.get(60, TimeUnit.SECONDS);
  }
}
