/** Log-in, presence, log-out and broken connections of the Java SDK. */
package dev.sampan.interop;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;

import cn.leancloud.AVException;
import cn.leancloud.im.v2.AVIMConversation;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;

final class SessionTest {
  private static Sdk sdk;

  @BeforeAll
  static void connect() throws Exception {
    sdk = Sdk.shared();
  }

  @Test
  @DisplayName("S021 S022 S024 a client is opened in a second step and is then online")
  void opens() throws Exception {
    Person alice = sdk.login(Sdk.name("alice"));
    assertEquals(List.of(alice.id), alice.online(alice.id, "nobody"));
  }

  @Test
  @DisplayName("S028 several clients of one process chat over its one connection")
  void severalClients() throws Exception {
    Person alice = sdk.login(Sdk.name("alice"));
    Person bob = sdk.login(Sdk.name("bob"));
    alice.say(alice.startWith(bob.id), "across the table");
    assertEquals(alice.id, bob.hears("across the table").getFrom());
  }

  @Test
  @DisplayName("S030 who logged out is offline, and the other clients of the connection stay")
  void closes() throws Exception {
    Person alice = sdk.login(Sdk.name("alice"));
    Person bob = sdk.login(Sdk.name("bob"));
    bob.close();
    assertEquals(List.of(alice.id), alice.online(alice.id, bob.id));
    sdk.login(bob.id);
    assertEquals(List.of(alice.id, bob.id), alice.online(alice.id, bob.id).stream().sorted().toList());
  }

  @Test
  @DisplayName("S025 an id of 65 characters is refused with 4103")
  void longId() {
    AVException refused = assertThrows(AVException.class, () -> sdk.login("z".repeat(65)));
    assertEquals(4103, refused.getCode());
  }

  /** Waits until nothing that the new conversation caused is under way: the SDK would wait for it across a reconnect. */
  private static void settled(Person... people) throws Exception {
    for (Person person : people) person.event("joined");
  }

  /** Waits until the sessions are open again. The SDK tells its one handler of a whole process's pause and resumption once. */
  private static void backOnline(Person alice, Person bob) throws Exception {
    sdk.events.next(null, "resumed");
    long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(Sdk.PATIENCE_SECONDS);
    while (!isOnline(alice, bob)) {
      if (System.nanoTime() > end) throw new AssertionError("the sessions do not come back");
      Thread.sleep(50);
    }
  }

  private static boolean isOnline(Person alice, Person bob) {
    try {
      return alice.online(alice.id, bob.id).size() == 2 && bob.online(alice.id).size() == 1;
    } catch (Exception notYet) {
      return false;
    }
  }

  @Test
  @DisplayName("S301 S303 a broken connection pauses the clients; connected again, their sessions resume by themselves")
  void reconnects() throws Exception {
    Person alice = sdk.login(Sdk.name("alice"));
    Person bob = sdk.login(Sdk.name("bob"));
    AVIMConversation conversation = alice.startWith(bob.id);
    settled(alice, bob);
    sdk.disconnect();
    sdk.events.next(null, "paused");
    sdk.connect();
    backOnline(alice, bob);
    alice.say(conversation, "still me");
    bob.hears("still me");
    assertFalse(bob.wasTold("offline"));
  }

  @Test
  @DisplayName("S031 S258 sessions and acknowledged messages survive a kill -9 of the service")
  void serviceDies() throws Exception {
    Person alice = sdk.login(Sdk.name("alice"));
    Person bob = sdk.login(Sdk.name("bob"));
    AVIMConversation conversation = alice.startWith(bob.id);
    settled(alice, bob);
    alice.say(conversation, "before");
    bob.hears("before");
    sdk.service.kill();
    sdk.events.next(null, "paused");
    sdk.service.startAgain();
    sdk.connect();
    backOnline(alice, bob);
    alice.say(conversation, "after");
    bob.hears("after");
    assertEquals(List.of("before", "after"), bob.texts(bob.find(conversation.getConversationId()), 10));
  }
}
