/**
 * Conversations and their members through the Java SDK. Two of its calls are not used: on a plain JVM 6.0.5 writes the
 * attributes of an update as a map's `toString`, which no service can read, and its member count throws a
 * `ClassCastException` on any answer and drops the connection.
 */
package dev.sampan.interop;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cn.leancloud.AVException;
import cn.leancloud.AVQuery;
import cn.leancloud.im.v2.AVIMConversation;
import cn.leancloud.im.v2.AVIMConversationsQuery;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;

final class ConversationTest {
  private Person alice;
  private Person bob;

  @BeforeEach
  void login() throws Exception {
    alice = Sdk.shared().login(Sdk.name("alice"));
    bob = Sdk.shared().login(Sdk.name("bob"));
  }

  @Test
  @DisplayName("S061 S062 S071 S074 S082 a conversation is made with name and attributes, and found by its id")
  void makes() throws Exception {
    AVIMConversation made = alice.start(List.of(bob.id), "Harbour", Map.of("topic", "boats", "n", 3), false);
    assertTrue(made.getConversationId().matches("[0-9a-f]{24}"));
    AVIMConversation seen = bob.find(made.getConversationId());
    assertEquals("Harbour", seen.getName());
    assertEquals(alice.id, seen.getCreator());
    assertEquals(Set.of(alice.id, bob.id), new HashSet<>(seen.getMembers()));
    assertEquals("boats", seen.getAttribute("topic"));
    assertEquals(3, seen.getAttribute("n"));
    assertFalse(seen.isTransient() || seen.isSystem() || seen.isTemporary());
    assertEquals(made.getCreatedAt(), seen.getCreatedAt());
  }

  @Test
  @DisplayName("S063 S064 S065 unique finds the conversation of the same members, otherwise each is new")
  void unique() throws Exception {
    AVIMConversation made = alice.start(List.of(bob.id), "one", null, true);
    assertEquals(made.getConversationId(), bob.start(List.of(alice.id), "two", null, true).getConversationId());
    assertNotEquals(made.getConversationId(), alice.start(List.of(bob.id), "one", null, false).getConversationId());
  }

  @Test
  @DisplayName("S277 S278 S280 S282 S286 conversations are found by members, attributes and text, sorted and paged")
  void queries() throws Exception {
    String mark = Sdk.name("mark");
    for (int n = 0; n < 4; n++) {
      alice.start(List.of(bob.id), "boat " + n, Map.of("mark", mark, "n", n), false);
    }
    alice.start(List.of("carol"), "raft", Map.of("mark", mark, "n", 9), false);
    assertEquals(List.of("boat 0", "boat 1", "boat 2", "boat 3"), names(mine(mark).containsMembers(List.of(bob.id))));
    assertEquals(List.of("raft"), names(mine(mark).whereEqualTo("attr.n", 9)));
    assertEquals(List.of("boat 2", "boat 3"), names(mine(mark).whereContains("name", "boat").whereGreaterThan("attr.n", 1)));
    assertEquals(List.of("raft"), names(mine(mark).whereMatches("name", "^RAFT$", "i")));
    assertEquals(List.of("boat 0", "raft"), names(mine(mark).whereContainsIn("attr.n", List.of(0, 9))));
    assertEquals(List.of("boat 1", "boat 2"), names(mine(mark).limit(2).skip(1)));
    AVIMConversationsQuery either = AVIMConversationsQuery.or(List.of(mine(mark).whereEqualTo("attr.n", 0), mine(mark).whereEqualTo("attr.n", 9)));
    assertEquals(2, alice.find(either).size());
  }

  private AVIMConversationsQuery mine(String mark) {
    AVIMConversationsQuery query = alice.client.getConversationsQuery();
    query.setQueryPolicy(AVQuery.CachePolicy.NETWORK_ONLY);
    return query.whereEqualTo("attr.mark", mark).orderByAscending("createdAt");
  }

  private List<String> names(AVIMConversationsQuery query) throws Exception {
    return alice.find(query).stream().map(AVIMConversation::getName).toList();
  }

  @Test
  @DisplayName("S089 S090 S091 S092 S095 S096 S097 S098 members come and go, and each party is told its part")
  void members() throws Exception {
    Person carol = Sdk.shared().login(Sdk.name("carol"));
    AVIMConversation conversation = alice.startWith(bob.id);
    String cid = conversation.getConversationId();
    bob.event("invited", event -> cid.equals(event.conversation()) && alice.id.equals(event.by()));
    alice.done("carol is added", callback -> conversation.addMembers(List.of(carol.id), callback));
    carol.event("invited", event -> cid.equals(event.conversation()) && alice.id.equals(event.by()));
    bob.event("joined", event -> List.of(carol.id).equals(event.members()) && alice.id.equals(event.by()));
    alice.done("carol is removed", callback -> conversation.kickMembers(List.of(carol.id), callback));
    carol.event("kicked", event -> alice.id.equals(event.by()));
    bob.event("left", event -> List.of(carol.id).equals(event.members()) && alice.id.equals(event.by()));
    carol.done("carol joins", carol.find(cid)::join);
    bob.event("joined", event -> List.of(carol.id).equals(event.members()) && carol.id.equals(event.by()));
    bob.done("bob quits", bob.find(cid)::quit);
    carol.event("left", event -> List.of(bob.id).equals(event.members()));
    assertEquals(Set.of(alice.id, carol.id), new HashSet<>(alice.find(cid).getMembers()));
  }

  @Test
  @DisplayName("S078 S079 a conversation is muted and unmuted")
  void mutes() throws Exception {
    AVIMConversation conversation = alice.startWith(bob.id);
    alice.done("mute", conversation::mute);
    assertTrue(String.valueOf(bob.find(conversation.getConversationId()).get("mu")).contains(alice.id));
    alice.done("unmute", conversation::unmute);
    assertFalse(String.valueOf(bob.find(conversation.getConversationId()).get("mu")).contains(alice.id));
  }

  @Test
  @DisplayName("S087 S258 who is not a member may neither send nor read")
  void outsiders() throws Exception {
    Person carol = Sdk.shared().login(Sdk.name("carol"));
    AVIMConversation seen = carol.find(alice.startWith(bob.id).getConversationId());
    assertEquals(4401, assertThrows(AVException.class, () -> carol.say(seen, "hello?")).getCode());
    assertEquals(4312, assertThrows(AVException.class, () -> carol.texts(seen, 5)).getCode());
  }
}
