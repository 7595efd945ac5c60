/** The Java SDK and the JavaScript SDK in one conversation, and as two devices of one person. */
package dev.sampan.interop;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cn.leancloud.im.v2.AVIMConversation;
import cn.leancloud.im.v2.AVIMMessage;
import com.alibaba.fastjson.JSONObject;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;

final class CrossTest {
  @Test
  @DisplayName("S008 S019 S071 S077 Java and JavaScript chat: messages, edits, recalls, members, names")
  void chat() throws Exception {
    Sdk sdk = Sdk.shared();
    Person alice = sdk.login(Sdk.name("alice"));
    String bob = Sdk.name("bob");
    try (NodePeer peer = new NodePeer(sdk.service, bob)) {
      AVIMConversation conversation = alice.start(List.of(bob), "two tongues", null, false);
      String cid = conversation.getConversationId();
      assertEquals("two tongues", peer.ask("find", Map.of("cid", cid)).getString("name"));
      AVIMMessage sent = alice.say(conversation, "from Java");
      JSONObject heard = peer.ask("hears", Map.of("text", "from Java"));
      assertEquals(sent.getMessageId(), heard.getString("id"));
      assertEquals(sent.getTimestamp(), heard.getLongValue("timestamp"));
      JSONObject said = peer.ask("say", Map.of("cid", cid, "text", "from JavaScript"));
      assertEquals(said.getString("id"), alice.hears("from JavaScript").getMessageId());
      peer.ask("edit", Map.of("cid", cid, "id", said.getString("id"), "timestamp", said.getLong("timestamp"), "text", "edited"));
      assertEquals("edited", Person.text(alice.event("edited").message()));
      alice.recall(conversation, sent);
      assertEquals(sent.getMessageId(), peer.ask("event", Map.of("name", "messagerecall")).getString("id"));
      peer.ask("rename", Map.of("cid", cid, "name", "one tongue", "attr", Map.of("colour", "blue")));
      assertEquals(bob, alice.event("changed").by());
      AVIMConversation changed = alice.find(cid);
      assertEquals("one tongue", changed.getName());
      assertEquals("blue", changed.getAttribute("colour"));
      peer.ask("add", Map.of("cid", cid, "members", List.of("carol")));
      alice.event("joined", event -> List.of("carol").equals(event.members()) && bob.equals(event.by()));
    }
  }

  @Test
  @DisplayName("S310 S311 S312 a person's Java and JavaScript devices mirror each other and share what is read")
  void devices() throws Exception {
    Sdk sdk = Sdk.shared();
    Person alice = sdk.login(Sdk.name("alice"));
    Person bob = sdk.login(Sdk.name("bob"));
    AVIMConversation conversation = alice.startWith(bob.id);
    String cid = conversation.getConversationId();
    bob.close();
    alice.say(conversation, "missed");
    bob = sdk.login(bob.id);
    AVIMConversation his = bob.event("unread", event -> event.object().getUnreadMessagesCount() == 1).object();
    try (NodePeer tablet = new NodePeer(sdk.service, bob.id)) {
      tablet.ask("unread", Map.of("cid", cid, "count", 1));
      bob.say(his, "from the phone");
      assertEquals(bob.id, tablet.ask("hears", Map.of("text", "from the phone")).getString("from"));
      tablet.ask("say", Map.of("cid", cid, "text", "from the tablet"));
      assertEquals(bob.id, bob.hears("from the tablet").getFrom());
      his.read();
      tablet.ask("unread", Map.of("cid", cid, "count", 0));
      assertTrue(tablet.ask("history", Map.of("cid", cid)).getJSONArray("texts").contains("from the tablet"));
    }
  }
}
