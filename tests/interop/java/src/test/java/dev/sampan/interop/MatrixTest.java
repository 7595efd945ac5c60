/** The notices of members: one table, with Sampan, the Java SDK and the JavaScript SDK side by side. */
package dev.sampan.interop;

import static org.junit.jupiter.api.Assertions.assertEquals;

import cn.leancloud.im.v2.AVIMConversation;
import com.alibaba.fastjson.JSONObject;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;

final class MatrixTest {
  /** The deeds of one person, and the notices to that person, whichever SDK it has. */
  private interface Member {
    String id();

    String start(List<String> members) throws Exception;

    void change(String deed, String cid, List<String> members) throws Exception;

    /** Waits for a notice of this name in the conversation, of these members if it names some, by this person. */
    void told(String name, String cid, List<String> members, String by) throws Exception;
  }

  private record Java(Person person) implements Member {
    @Override
    public String id() {
      return person.id;
    }

    @Override
    public String start(List<String> members) throws Exception {
      return person.start(members, null, null, false).getConversationId();
    }

    @Override
    public void change(String deed, String cid, List<String> members) throws Exception {
      AVIMConversation conversation = person.find(cid);
      switch (deed) {
        case "add" -> person.done(deed, callback -> conversation.addMembers(members, callback));
        case "remove" -> person.done(deed, callback -> conversation.kickMembers(members, callback));
        case "join" -> person.done(deed, conversation::join);
        default -> person.done(deed, conversation::quit);
      }
    }

    @Override
    public void told(String name, String cid, List<String> members, String by) throws Exception {
      boolean named = name.equals("joined") || name.equals("left");
      person.event(name, event -> cid.equals(event.conversation()) && by.equals(event.by()) && (!named || members.equals(event.members())));
    }
  }

  /** The peers tell by one deed, each in the words of its own SDK. */
  private record Driven(String id, Peer peer, Map<String, String> words) implements Member {
    @Override
    public String start(List<String> members) throws Exception {
      return peer.ask("start", Map.of("members", members)).getString("cid");
    }

    @Override
    public void change(String deed, String cid, List<String> members) throws Exception {
      peer.ask(deed, Map.of("cid", cid, "members", members));
    }

    @Override
    public void told(String name, String cid, List<String> members, String by) throws Exception {
      Map<String, Object> wanted = new HashMap<>(Map.of("name", words.get(name), "cid", cid));
      if (name.equals("joined") || name.equals("left")) wanted.put("member", members.get(0));
      JSONObject told = peer.ask("told", wanted);
      if (told.getJSONArray("members") != null) assertEquals(members, told.getJSONArray("members").toJavaList(String.class), name);
      assertEquals(by, told.getString("by"), name);
    }
  }

  /** A deed, and who is told which notice of it: by the one who did it, and about the one it was done to. */
  private record Row(String deed, boolean bySelf, String doer, String target, String others) {}

  /** The target of a deed by others is told apart; who joins or leaves by itself is told as the others are. */
  private static final List<Row> TABLE = List.of(
      new Row("add", false, "joined", "invited", "joined"),
      new Row("remove", false, "left", "kicked", "left"),
      new Row("join", true, "joined", "joined", "joined"),
      new Row("quit", true, "left", "quit", "left"));

  private static final Map<String, String> JS = Map.of(
      "joined", "membersjoined", "left", "membersleft", "invited", "invited", "kicked", "kicked", "quit", "kicked");
  private static final Map<String, String> SAMPAN = Map.of(
      "joined", "Joined", "left", "Left", "invited", "Invited", "kicked", "Removed", "quit", "Left");

  @Test
  @DisplayName("S095 S096 S097 S098 S099 S100 S101 S102 every deed on members is told to everybody, whichever SDK does it and hears of it")
  void online() throws Exception {
    Sdk sdk = Sdk.shared();
    String bob = Sdk.name("bob");
    String cleo = Sdk.name("cleo");
    try (NodePeer js = new NodePeer(sdk.service, bob);
        SampanPeer sampan = new SampanPeer(sdk.service, cleo)) {
      List<Member> all = List.of(
          new Java(sdk.login(Sdk.name("alice"))), new Driven(bob, js, JS), new Driven(cleo, sampan, SAMPAN));
      for (int turn = 0; turn < all.size(); turn++) {
        Member owner = all.get(turn);
        Member target = all.get((turn + 1) % all.size());
        Member other = all.get((turn + 2) % all.size());
        String cid = owner.start(List.of(other.id()));
        other.told("invited", cid, List.of(other.id()), owner.id());
        for (Row row : TABLE) {
          List<String> members = List.of(target.id());
          Member doer = row.bySelf() ? target : owner;
          doer.change(row.deed(), cid, row.bySelf() ? List.of() : members);
          owner.told(row.doer(), cid, members, doer.id());
          other.told(row.others(), cid, members, doer.id());
          String told = row.target().equals("quit") && target instanceof Java ? null : row.target();
          if (told != null) target.told(told, cid, members, doer.id());
          // The Java SDK tells who was added of the invitation alone.
          if (row.target().equals("invited") && !(target instanceof Java)) target.told("joined", cid, members, doer.id());
        }
      }
    }
  }

  @Test
  @DisplayName("S103 S105 S295 who was away is told afterwards what changed, and of the invitation before the first message")
  void away() throws Exception {
    Sdk sdk = Sdk.shared();
    Person alice = sdk.login(Sdk.name("alice"));
    String bob = Sdk.name("bob");
    String cleo = Sdk.name("cleo");
    try (NodePeer js = new NodePeer(sdk.service, bob);
        SampanPeer sampan = new SampanPeer(sdk.service, cleo)) {
      AVIMConversation first = alice.start(List.of(bob, cleo), null, null, false);
      String cid = first.getConversationId();
      alice.say(first, "welcome");
      assertEquals(List.of("Invited", "Joined", "welcome"),
          sampan.ask("order", Map.of("cid", cid, "count", 3)).getJSONArray("heard").toJavaList(String.class));
      js.ask("told", Map.of("name", "invited", "cid", cid));
      js.ask("hears", Map.of("text", "welcome"));
      sampan.ask("leave", Map.of());
      js.ask("add", Map.of("cid", cid, "members", List.of("dan")));
      js.ask("told", Map.of("name", "membersjoined", "cid", cid, "member", "dan"));
      alice.event("joined", event -> cid.equals(event.conversation()) && List.of("dan").equals(event.members()));
      alice.done("dan is removed", callback -> first.kickMembers(List.of(bob), callback));
      js.ask("told", Map.of("name", "kicked", "cid", cid));
      String second = alice.start(List.of(bob, cleo), null, null, false).getConversationId();
      js.ask("told", Map.of("name", "invited", "cid", second));
      sampan.ask("return", Map.of());
      assertEquals(List.of("dan"), told(sampan, "Joined", cid, "dan"));
      assertEquals(List.of(bob), told(sampan, "Left", cid, bob));
      assertEquals(List.of(cleo), told(sampan, "Invited", second, cleo));
    }
  }

  private static List<String> told(Peer peer, String name, String cid, String member) throws Exception {
    JSONObject told = peer.ask("told", Map.of("name", name, "cid", cid, "member", member));
    return told.getJSONArray("members").toJavaList(String.class);
  }
}
