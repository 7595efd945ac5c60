/** Sampan, the Java SDK and the JavaScript SDK in one conversation. */
package dev.sampan.interop;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;

import cn.leancloud.im.v2.AVIMConversation;
import cn.leancloud.im.v2.AVIMMessage;
import cn.leancloud.im.v2.messages.AVIMFileMessage;
import cn.leancloud.im.v2.messages.AVIMImageMessage;
import com.alibaba.fastjson.JSONObject;
import java.io.InputStream;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;

final class SampanTest {
  @Test
  @DisplayName("Java, JavaScript and Sampan chat: each hears the others, edits and recalls are shown")
  void three() throws Exception {
    Sdk sdk = Sdk.shared();
    Person alice = sdk.login(Sdk.name("alice"));
    String bob = Sdk.name("bob");
    String cleo = Sdk.name("cleo");
    try (NodePeer js = new NodePeer(sdk.service, bob);
        SampanPeer sampan = new SampanPeer(sdk.service, cleo)) {
      AVIMConversation conversation = alice.start(List.of(bob, cleo), "three tongues", null, false);
      String cid = conversation.getConversationId();
      AVIMMessage java = alice.say(conversation, "from Java");
      assertEquals(java.getMessageId(), sampan.ask("hears", Map.of("text", "from Java")).getString("id"));
      js.ask("hears", Map.of("text", "from Java"));
      JSONObject script = js.ask("say", Map.of("cid", cid, "text", "from JavaScript"));
      assertEquals(script.getString("id"), sampan.ask("hears", Map.of("text", "from JavaScript")).getString("id"));
      JSONObject rust = sampan.ask("say", Map.of("cid", cid, "text", "from Sampan"));
      assertEquals(rust.getString("id"), alice.hears("from Sampan").getMessageId());
      assertEquals(rust.getString("id"), js.ask("hears", Map.of("text", "from Sampan")).getString("id"));
      js.ask("edit", Map.of("cid", cid, "id", script.getString("id"), "timestamp", script.getLong("timestamp"), "text", "edited"));
      alice.recall(conversation, java);
      sampan.ask("shows", Map.of("cid", cid, "texts", List.of("(recalled)", "edited", "from Sampan")));
    }
  }

  @Test
  @DisplayName("S156 S160 S165 S168 files go from Java to Sampan and pictures back, byte by byte")
  void files() throws Exception {
    Sdk sdk = Sdk.shared();
    Person alice = sdk.login(Sdk.name("alice"));
    String cleo = Sdk.name("cleo");
    Path folder = Files.createTempDirectory("sampan-interop-");
    try (SampanPeer sampan = new SampanPeer(sdk.service, cleo)) {
      AVIMConversation conversation = alice.startWith(cleo);
      byte[] bytes = new byte[200_000];
      new Random(6).nextBytes(bytes);
      // The SDK uploads no file whose name tells no type.
      Path notes = Files.write(folder.resolve("notes.txt"), bytes);
      AVIMFileMessage sent = new AVIMFileMessage(notes.toFile());
      sent.setText("from Java");
      alice.send(conversation, sent, null);
      JSONObject seen = sampan.ask("seesFile", Map.of("text", "from Java"));
      assertArrayEquals(bytes, Files.readAllBytes(Path.of(seen.getString("path"))));
      assertEquals(bytes.length, seen.getIntValue("size"));

      Path picture = Files.write(folder.resolve("picture.png"), bytes);
      String cid = conversation.getConversationId();
      JSONObject back = sampan.ask("sendsFile", Map.of("cid", cid, "path", picture.toString(), "text", "from Sampan"));
      AVIMMessage came = alice.event("message", event -> event.detail() instanceof AVIMImageMessage).message();
      AVIMImageMessage image = assertInstanceOf(AVIMImageMessage.class, came);
      assertEquals(back.getString("id"), image.getMessageId());
      assertEquals("from Sampan", image.getText());
      assertEquals(bytes.length, image.getSize());
      try (InputStream read = URI.create(image.getFileUrl()).toURL().openStream()) {
        assertArrayEquals(bytes, read.readAllBytes());
      }
    } finally {
      for (String name : List.of("notes.txt", "picture.png")) Files.deleteIfExists(folder.resolve(name));
      Files.delete(folder);
    }
  }

  @Test
  @DisplayName("what Java says while Sampan is away is unread there, in its history, and read from then on")
  void away() throws Exception {
    Sdk sdk = Sdk.shared();
    Person alice = sdk.login(Sdk.name("alice"));
    String cleo = Sdk.name("cleo");
    try (SampanPeer sampan = new SampanPeer(sdk.service, cleo)) {
      String cid = sampan.ask("start", Map.of("members", List.of(alice.id), "name", "tea")).getString("cid");
      sampan.ask("say", Map.of("cid", cid, "text", "one"));
      alice.hears("one");
      sampan.ask("leave", Map.of());
      AVIMConversation conversation = alice.find(cid);
      alice.say(conversation, "two");
      alice.say(conversation, "three");
      sampan.ask("return", Map.of());
      sampan.ask("shows", Map.of("cid", cid, "texts", List.of("one", "two", "three")));
      sampan.ask("unread", Map.of("cid", cid, "count", 2));
      sampan.ask("read", Map.of("cid", cid));
      sampan.ask("unread", Map.of("cid", cid, "count", 0));
    }
  }
}
