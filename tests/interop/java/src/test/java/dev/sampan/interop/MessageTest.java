/** Messages of the Java SDK: sent, received, counted, read, found in history, edited and recalled. */
package dev.sampan.interop;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cn.leancloud.im.v2.AVIMBinaryMessage;
import cn.leancloud.im.v2.AVIMConversation;
import cn.leancloud.im.v2.AVIMMessage;
import cn.leancloud.im.v2.AVIMMessageInterval;
import cn.leancloud.im.v2.AVIMMessageOption;
import cn.leancloud.im.v2.AVIMMessageQueryDirection;
import cn.leancloud.im.v2.messages.AVIMFileMessage;
import cn.leancloud.im.v2.messages.AVIMLocationMessage;
import cn.leancloud.im.v2.messages.AVIMRecalledMessage;
import cn.leancloud.im.v2.messages.AVIMTextMessage;
import cn.leancloud.types.AVGeoPoint;
import java.io.InputStream;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;

final class MessageTest {
  private Person alice;
  private Person bob;
  private AVIMConversation conversation;
  private AVIMConversation his;

  @BeforeEach
  void meet() throws Exception {
    alice = Sdk.shared().login(Sdk.name("alice"));
    bob = Sdk.shared().login(Sdk.name("bob"));
    conversation = alice.startWith(bob.id);
    his = bob.find(conversation.getConversationId());
  }

  @Test
  @DisplayName("S155 S174 S176 S188 a text arrives with the id and the time that its sender was told")
  void text() throws Exception {
    AVIMTextMessage message = new AVIMTextMessage();
    message.setText("hello 船");
    message.setAttrs(Map.of("mood", "calm"));
    alice.send(conversation, message, null);
    AVIMTextMessage heard = assertInstanceOf(AVIMTextMessage.class, bob.hears("hello 船"));
    assertEquals(message.getMessageId(), heard.getMessageId());
    assertEquals(message.getTimestamp(), heard.getTimestamp());
    assertEquals(alice.id, heard.getFrom());
    assertEquals(conversation.getConversationId(), heard.getConversationId());
    assertEquals("calm", heard.getAttrs().get("mood"));
  }

  @Test
  @DisplayName("S160 S165 S169 a file is uploaded on the way and read byte by byte by its receiver")
  void file() throws Exception {
    Path file = Files.createTempFile("sampan-interop-", ".png");
    try {
      byte[] bytes = new byte[200_000];
      new Random(5).nextBytes(bytes);
      Files.write(file, bytes);
      // A message of a picture reads its measures by Android: on a plain JVM the SDK sends files.
      AVIMFileMessage message = new AVIMFileMessage(file.toFile());
      message.setText("a file");
      alice.send(conversation, message, null);
      AVIMMessage came = bob.event("message", event -> event.detail() instanceof AVIMFileMessage).message();
      AVIMFileMessage heard = assertInstanceOf(AVIMFileMessage.class, came);
      assertEquals("a file", heard.getText());
      assertEquals(message.getAVFile().getObjectId(), heard.getAVFile().getObjectId());
      assertTrue(heard.getFileUrl().startsWith(Sdk.shared().service.url()), heard.getFileUrl());
      try (InputStream read = URI.create(heard.getFileUrl()).toURL().openStream()) {
        assertArrayEquals(bytes, read.readAllBytes());
      }
    } finally {
      Files.delete(file);
    }
  }

  @Test
  @DisplayName("S155 S159 binary content and places arrive as sent, live and in history")
  void kinds() throws Exception {
    byte[] bytes = {0, 1, -1, 127, -128};
    AVIMBinaryMessage binary = new AVIMBinaryMessage();
    binary.setBytes(bytes);
    alice.send(conversation, binary, null);
    AVIMMessage heard = bob.event("message", event -> event.detail() instanceof AVIMBinaryMessage).message();
    assertArrayEquals(bytes, ((AVIMBinaryMessage) heard).getBytes());
    AVIMLocationMessage place = new AVIMLocationMessage();
    place.setLocation(new AVGeoPoint(31.25, 121.5));
    place.setText("here");
    alice.send(conversation, place, null);
    AVIMMessage there = bob.event("message", event -> event.detail() instanceof AVIMLocationMessage).message();
    assertEquals(31.25, ((AVIMLocationMessage) there).getLocation().getLatitude());
    List<AVIMMessage> stored = bob.history(callback -> his.queryMessagesFromServer(10, callback));
    assertArrayEquals(bytes, assertInstanceOf(AVIMBinaryMessage.class, stored.get(0)).getBytes());
    assertInstanceOf(AVIMLocationMessage.class, stored.get(1));
  }

  @Test
  @DisplayName("S188 S202 messages arrive in order and once")
  void order() throws Exception {
    List<String> texts = new ArrayList<>();
    for (int n = 0; n < 12; n++) {
      texts.add("n" + n);
      alice.say(conversation, "n" + n);
    }
    for (String text : texts) bob.hears(text);
    assertFalse(bob.wasTold("message"));
    assertEquals(texts, bob.texts(his, 100));
  }

  @Test
  @DisplayName("S181 S191 S194 S187 transient messages are not kept, receipts are told, push texts are accepted")
  void options() throws Exception {
    AVIMTextMessage typing = new AVIMTextMessage();
    typing.setText("typing");
    AVIMMessageOption option = new AVIMMessageOption();
    option.setTransient(true);
    alice.send(conversation, typing, option);
    bob.hears("typing");
    AVIMTextMessage receipted = new AVIMTextMessage();
    receipted.setText("with a receipt");
    AVIMMessageOption asking = new AVIMMessageOption();
    asking.setReceipt(true);
    asking.setPushData("{\"alert\":\"new\"}");
    alice.send(conversation, receipted, asking);
    bob.hears("with a receipt");
    AVIMMessage delivered = alice.event("receipt").message();
    assertEquals(receipted.getMessageId(), delivered.getMessageId());
    assertTrue(delivered.getDeliveredAt() >= receipted.getTimestamp());
    assertEquals(List.of("with a receipt"), bob.texts(his, 10));
  }

  @Test
  @DisplayName("S231 S232 S236 mentions reach whom they mean")
  void mentions() throws Exception {
    AVIMTextMessage message = new AVIMTextMessage();
    message.setText("bob!");
    message.setMentionList(List.of(bob.id));
    alice.send(conversation, message, null);
    AVIMMessage heard = bob.hears("bob!");
    assertTrue(heard.mentioned());
    assertEquals(List.of(bob.id), heard.getMentionList());
    AVIMTextMessage all = new AVIMTextMessage();
    all.setText("all!");
    all.setMentionAll(true);
    alice.send(conversation, all, null);
    assertTrue(bob.hears("all!").isMentionAll());
  }

  @Test
  @DisplayName("S204 S205 S210 S215 S216 missed messages are counted at log-in, and reading clears them")
  void unread() throws Exception {
    bob.close();
    alice.say(conversation, "one");
    alice.say(conversation, "two");
    bob = Sdk.shared().login(bob.id);
    String cid = conversation.getConversationId();
    Events.Event counted = bob.event("unread", event -> cid.equals(event.conversation()) && event.object().getUnreadMessagesCount() == 2);
    assertEquals("two", Person.text(counted.object().getLastMessage()));
    counted.object().read();
    bob.event("unread", event -> cid.equals(event.conversation()) && event.object().getUnreadMessagesCount() == 0);
  }

  @Test
  @DisplayName("S198 S199 S197 the sender learns what was delivered and read")
  void marks() throws Exception {
    AVIMTextMessage message = new AVIMTextMessage();
    message.setText("read me");
    AVIMMessageOption asking = new AVIMMessageOption();
    asking.setReceipt(true);
    alice.send(conversation, message, asking);
    bob.hears("read me");
    alice.event("delivered", event -> event.object().getLastDeliveredAt() >= message.getTimestamp());
    his.read();
    alice.event("read", event -> event.object().getLastReadAt() >= message.getTimestamp());
    alice.done("the marks are asked for", conversation::fetchReceiptTimestamps);
    assertTrue(conversation.getLastReadAt() >= message.getTimestamp());
  }

  @Test
  @DisplayName("S260 S263 S264 history comes in pages, backwards and forwards, and by type")
  void history() throws Exception {
    List<AVIMMessage> sent = new ArrayList<>();
    for (int n = 0; n < 8; n++) sent.add(alice.say(conversation, "n" + n));
    assertEquals(List.of("n5", "n6", "n7"), bob.texts(his, 3));
    AVIMMessage from = sent.get(5);
    List<AVIMMessage> before = bob.history(callback -> his.queryMessages(from.getMessageId(), from.getTimestamp(), 2, callback));
    assertEquals(List.of("n3", "n4"), before.stream().map(Person::text).toList());
    AVIMMessageInterval interval = new AVIMMessageInterval(
        AVIMMessageInterval.createBound(sent.get(2).getMessageId(), sent.get(2).getTimestamp(), true),
        AVIMMessageInterval.createBound(sent.get(6).getMessageId(), sent.get(6).getTimestamp(), false));
    List<AVIMMessage> forwards = bob.history(callback ->
        his.queryMessages(interval, AVIMMessageQueryDirection.AVIMMessageQueryDirectionFromOldToNew, 10, callback));
    assertEquals(List.of("n2", "n3", "n4", "n5"), forwards.stream().map(Person::text).toList());
    assertEquals(8, bob.history(callback -> his.queryMessagesByType(-1, 20, callback)).size());
    assertEquals(0, bob.history(callback -> his.queryMessagesByType(-5, 20, callback)).size());
  }

  @Test
  @DisplayName("S225 S226 S227 S228 an edit and a recall reach the other side and history")
  void patches() throws Exception {
    AVIMMessage one = alice.say(conversation, "one");
    AVIMMessage two = alice.say(conversation, "two");
    bob.hears("two");
    assertEquals(one.getMessageId(), alice.edit(conversation, one, "edited").getMessageId());
    Events.Event edited = bob.event("edited");
    assertEquals("edited", Person.text(edited.message()));
    assertEquals(one.getMessageId(), edited.message().getMessageId());
    alice.recall(conversation, two);
    assertEquals(two.getMessageId(), bob.event("recalled").message().getMessageId());
    List<AVIMMessage> stored = bob.history(callback -> his.queryMessagesFromServer(10, callback));
    assertEquals("edited", Person.text(stored.get(0)));
    assertInstanceOf(AVIMRecalledMessage.class, stored.get(1));
  }
}
