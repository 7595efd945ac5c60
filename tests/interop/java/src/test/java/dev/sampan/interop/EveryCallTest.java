/**
 * The calls of the Java SDK that no other test makes: each is served, or refused at once with a code of the protocol. None waits
 * for the SDK's time-out of ten seconds. Two calls are not made: on a plain JVM 6.0.5 takes the lists of silenced and of blocked
 * members for a list where it has put a map, throws a `ClassCastException` on any answer and drops the connection.
 */
package dev.sampan.interop;

import static dev.sampan.interop.Sdk.settle;
import static org.junit.jupiter.api.Assertions.assertEquals;

import cn.leancloud.AVException;
import cn.leancloud.im.v2.AVIMConversation;
import cn.leancloud.im.v2.AVIMConversationsQuery;
import cn.leancloud.im.v2.AVIMException;
import cn.leancloud.im.v2.AVIMMessage;
import cn.leancloud.im.v2.AVIMMessageInterval;
import cn.leancloud.im.v2.AVIMMessageQueryDirection;
import cn.leancloud.im.v2.callback.AVIMConversationCallback;
import cn.leancloud.im.v2.callback.AVIMConversationCreatedCallback;
import cn.leancloud.im.v2.callback.AVIMConversationMemberQueryCallback;
import cn.leancloud.im.v2.callback.AVIMMessagesQueryCallback;
import cn.leancloud.im.v2.callback.AVIMOperationFailure;
import cn.leancloud.im.v2.callback.AVIMOperationPartiallySucceededCallback;
import cn.leancloud.im.v2.conversation.AVIMConversationMemberInfo;
import cn.leancloud.im.v2.conversation.ConversationMemberRole;
import cn.leancloud.types.AVGeoPoint;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;

final class EveryCallTest {
  /** Half of the SDK's own patience. */
  private static final long AT_ONCE_SECONDS = 5;

  private static final int SERVED = 0;

  /** The code of what came of each call, 0 where it was served; in the order of the calls. */
  private final Map<String, Integer> came = new LinkedHashMap<>();

  private <T> T attempt(String name, Consumer<CompletableFuture<T>> call) throws Exception {
    CompletableFuture<T> answer = new CompletableFuture<>();
    call.accept(answer);
    try {
      T result = answer.get(AT_ONCE_SECONDS, TimeUnit.SECONDS);
      came.put(name, SERVED);
      return result;
    } catch (ExecutionException failure) {
      if (!(failure.getCause() instanceof AVException refused)) throw failure;
      int code = refused instanceof AVIMException im && im.getCode() == 0 ? im.getAppCode() : refused.getCode();
      came.put(name, code);
      return null;
    } catch (java.util.concurrent.TimeoutException late) {
      throw new AssertionError("not answered at once: " + name, late);
    }
  }

  private void plain(String name, Consumer<AVIMConversationCallback> call) throws Exception {
    this.<Void>attempt(name, answer -> call.accept(new AVIMConversationCallback() {
      @Override
      public void done(AVIMException error) {
        settle(answer, null, error);
      }
    }));
  }

  private void partly(String name, Consumer<AVIMOperationPartiallySucceededCallback> call) throws Exception {
    attempt(name, (CompletableFuture<List<String>> answer) -> call.accept(new AVIMOperationPartiallySucceededCallback() {
      @Override
      public void done(AVIMException error, List<String> done, List<AVIMOperationFailure> failed) {
        settle(answer, done, error);
      }
    }));
  }

  private void members(String name, Consumer<AVIMConversationMemberQueryCallback> call) throws Exception {
    attempt(name, (CompletableFuture<List<AVIMConversationMemberInfo>> answer) ->
        call.accept(new AVIMConversationMemberQueryCallback() {
          @Override
          public void done(List<AVIMConversationMemberInfo> infos, AVIMException error) {
            settle(answer, infos, error);
          }
        }));
  }

  private void history(String name, Consumer<AVIMMessagesQueryCallback> call) throws Exception {
    attempt(name, (CompletableFuture<List<AVIMMessage>> answer) -> call.accept(new AVIMMessagesQueryCallback() {
      @Override
      public void done(List<AVIMMessage> messages, AVIMException error) {
        settle(answer, messages, error);
      }
    }));
  }

  private AVIMConversation made(String name, Consumer<AVIMConversationCreatedCallback> call) throws Exception {
    return attempt(name, answer -> call.accept(new AVIMConversationCreatedCallback() {
      @Override
      public void done(AVIMConversation conversation, AVIMException error) {
        settle(answer, conversation, error);
      }
    }));
  }

  /** Lists, roles and mutes of a conversation that the client owns. */
  @Test
  @DisplayName("every call on a normal conversation is served at once")
  void normal() throws Exception {
    Person alice = Sdk.shared().login(Sdk.name("alice"));
    AVIMConversation own = alice.startWith("bob");
    AVIMMessage said = alice.say(own, "hello");
    List<String> guest = List.of("guest");
    plain("addMembers", callback -> own.addMembers(guest, callback));
    plain("updateMemberRole", callback -> own.updateMemberRole("bob", ConversationMemberRole.MANAGER, callback));
    partly("muteMembers", callback -> own.muteMembers(guest, callback));
    partly("unmuteMembers", callback -> own.unmuteMembers(guest, callback));
    members("getAllMemberInfo", callback -> own.getAllMemberInfo(0, 10, callback));
    members("getMemberInfo", callback -> own.getMemberInfo("bob", callback));
    plain("kickMembers", callback -> own.kickMembers(guest, callback));
    partly("blockMembers", callback -> own.blockMembers(guest, callback));
    partly("unblockMembers", callback -> own.unblockMembers(guest, callback));
    plain("mute", own::mute);
    plain("unmute", own::unmute);
    plain("fetchReceiptTimestamps", own::fetchReceiptTimestamps);
    plain("fetchInfo", own::fetchInfoInBackground);
    plain("join", own::join);
    history("queryMessages", callback -> own.queryMessages(10, callback));
    history("queryMessagesByType", callback -> own.queryMessagesByType(-1, 10, callback));
    AVIMMessageInterval whole = new AVIMMessageInterval(null, null);
    history("queryMessages in an interval", callback -> own.queryMessages(whole, AVIMMessageQueryDirection.AVIMMessageQueryDirectionFromNewToOld, 10, callback));
    history("queryMessages before one", callback -> own.queryMessages(said.getMessageId(), said.getTimestamp(), 10, callback));
    came.forEach((name, code) -> assertEquals(SERVED, code, name));
  }

  @Test
  @DisplayName("every call on a chat room and on a temporary conversation is served or refused at once")
  void roomsAndTemporary() throws Exception {
    Person alice = Sdk.shared().login(Sdk.name("alice"));
    AVIMConversation room = made("createChatRoom", callback -> alice.client.createChatRoom("pier", null, callback));
    plain("join", room::join);
    plain("send", callback -> room.sendMessage(text("ahoy"), callback));
    history("history", callback -> room.queryMessagesFromServer(10, callback));
    plain("mute", room::mute);
    plain("quit", room::quit);
    AVIMConversation temporary = made("createTemporaryConversation", callback -> alice.client.createTemporaryConversation(List.of("bob"), 600, callback));
    plain("send to it", callback -> temporary.sendMessage(text("soon gone"), callback));
    history("its history", callback -> temporary.queryMessagesFromServer(10, callback));
    came.forEach((name, code) -> assertEquals(SERVED, code, name));
  }

  @Test
  @DisplayName("every call of a stranger is refused at once with its code")
  void stranger() throws Exception {
    Person alice = Sdk.shared().login(Sdk.name("alice"));
    Person eve = Sdk.shared().login(Sdk.name("eve"));
    AVIMConversation hers = eve.client.getConversation(alice.startWith("bob").getConversationId());
    List<String> guest = List.of("guest");
    plain("4401 send", callback -> hers.sendMessage(text("let me in"), callback));
    plain("4317 addMembers", callback -> hers.addMembers(guest, callback));
    plain("4317 kickMembers", callback -> hers.kickMembers(guest, callback));
    partly("4320 muteMembers", callback -> hers.muteMembers(guest, callback));
    partly("4320 unmuteMembers", callback -> hers.unmuteMembers(guest, callback));
    partly("4320 blockMembers", callback -> hers.blockMembers(guest, callback));
    partly("4320 unblockMembers", callback -> hers.unblockMembers(guest, callback));
    history("4312 history", callback -> hers.queryMessagesFromServer(10, callback));
    plain("4309 mute", hers::mute);
    came.forEach((name, code) -> assertEquals(Integer.parseInt(name.substring(0, 4)), code, name));
  }

  @Test
  @DisplayName("conversations are found by a place: near a point, up to a distance in each unit, and in a box")
  void places() throws Exception {
    Person alice = Sdk.shared().login(Sdk.name("alice"));
    Map<String, Object> shanghai = Map.of("__type", "GeoPoint", "latitude", 31.2304, "longitude", 121.4737);
    String cid = alice.start(List.of("bob"), "bund", Map.of("place", shanghai), false).getConversationId();
    alice.startWith("bob");
    AVGeoPoint beijing = new AVGeoPoint(39.9042, 116.4074);
    Map<String, Consumer<AVIMConversationsQuery>> near = Map.of(
        "near", query -> query.whereNear("attr.place", beijing),
        "kilometers", query -> query.whereWithinKilometers("attr.place", beijing, 1080),
        "miles", query -> query.whereWithinMiles("attr.place", beijing, 671),
        "radians", query -> query.whereWithinRadians("attr.place", beijing, 0.1695),
        "box", query -> query.whereWithinGeoBox("attr.place", new AVGeoPoint(18, 73), new AVGeoPoint(54, 135)));
    Map<String, Consumer<AVIMConversationsQuery>> far = Map.of(
        "kilometers", query -> query.whereWithinKilometers("attr.place", beijing, 1050),
        "miles", query -> query.whereWithinMiles("attr.place", beijing, 653),
        "radians", query -> query.whereWithinRadians("attr.place", beijing, 0.1648),
        "box", query -> query.whereWithinGeoBox("attr.place", new AVGeoPoint(-40, 100), new AVGeoPoint(0, 120)));
    for (var condition : near.entrySet()) assertEquals(List.of(cid), found(alice, condition.getValue()), condition.getKey());
    for (var condition : far.entrySet()) assertEquals(List.of(), found(alice, condition.getValue()), condition.getKey());
  }

  private static List<String> found(Person person, Consumer<AVIMConversationsQuery> condition) throws Exception {
    AVIMConversationsQuery query = person.client.getConversationsQuery().containsMembers(List.of(person.id));
    condition.accept(query);
    return person.find(query).stream().map(AVIMConversation::getConversationId).toList();
  }

  private static AVIMMessage text(String text) {
    cn.leancloud.im.v2.messages.AVIMTextMessage message = new cn.leancloud.im.v2.messages.AVIMTextMessage();
    message.setText(text);
    return message;
  }
}
