/** A client id of the Java SDK: its calls made blocking, its events waited for. */
package dev.sampan.interop;

import static dev.sampan.interop.Sdk.call;
import static dev.sampan.interop.Sdk.settle;

import cn.leancloud.AVException;
import cn.leancloud.im.v2.AVIMClient;
import cn.leancloud.im.v2.AVIMConversation;
import cn.leancloud.im.v2.AVIMConversationsQuery;
import cn.leancloud.im.v2.AVIMException;
import cn.leancloud.im.v2.AVIMMessage;
import cn.leancloud.im.v2.AVIMMessageOption;
import cn.leancloud.im.v2.callback.AVIMClientCallback;
import cn.leancloud.im.v2.callback.AVIMConversationCallback;
import cn.leancloud.im.v2.callback.AVIMConversationCreatedCallback;
import cn.leancloud.im.v2.callback.AVIMConversationQueryCallback;
import cn.leancloud.im.v2.callback.AVIMMessageRecalledCallback;
import cn.leancloud.im.v2.callback.AVIMMessageUpdatedCallback;
import cn.leancloud.im.v2.callback.AVIMMessagesQueryCallback;
import cn.leancloud.im.v2.callback.AVIMOnlineClientsCallback;
import cn.leancloud.im.v2.messages.AVIMRecalledMessage;
import cn.leancloud.im.v2.messages.AVIMTextMessage;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.function.Consumer;
import java.util.function.Predicate;

final class Person {
  final AVIMClient client;
  final String id;
  private final Sdk sdk;

  Person(Sdk sdk, AVIMClient client) {
    this.sdk = sdk;
    this.client = client;
    this.id = client.getClientId();
  }

  Person open() throws Exception {
    call(id + " logs in", (CompletableFuture<AVIMClient> answer) -> client.open(answering(answer)));
    return this;
  }

  void close() throws Exception {
    call(id + " logs out", (CompletableFuture<AVIMClient> answer) -> client.close(answering(answer)));
  }

  private static AVIMClientCallback answering(CompletableFuture<AVIMClient> answer) {
    return new AVIMClientCallback() {
      @Override
      public void done(AVIMClient client, AVIMException error) {
        settle(answer, client, error);
      }
    };
  }

  List<String> online(String... ids) throws Exception {
    return call("who is online", answer -> client.getOnlineClients(List.of(ids), new AVIMOnlineClientsCallback() {
      @Override
      public void done(List<String> online, AVIMException error) {
        settle(answer, online, error);
      }
    }));
  }

  /** A conversation with these members; `unique` finds the existing one. */
  AVIMConversation start(List<String> members, String name, Map<String, Object> attributes, boolean unique) throws Exception {
    return call("a conversation starts", answer ->
        client.createConversation(members, name, attributes, false, unique, new AVIMConversationCreatedCallback() {
          @Override
          public void done(AVIMConversation conversation, AVIMException error) {
            settle(answer, conversation, error);
          }
        }));
  }

  AVIMConversation startWith(String... members) throws Exception {
    return start(List.of(members), null, null, false);
  }

  /** This person's own object of a conversation, with what the service knows of it. */
  AVIMConversation find(String conversationId) throws Exception {
    AVIMConversation conversation = client.getConversation(conversationId);
    done("a conversation is fetched", conversation::fetchInfoInBackground);
    return conversation;
  }

  List<AVIMConversation> find(AVIMConversationsQuery query) throws Exception {
    return call("a query", answer -> query.findInBackground(new AVIMConversationQueryCallback() {
      @Override
      public void done(List<AVIMConversation> found, AVIMException error) {
        settle(answer, found, error);
      }
    }));
  }

  AVIMTextMessage say(AVIMConversation conversation, String text) throws Exception {
    AVIMTextMessage message = new AVIMTextMessage();
    message.setText(text);
    send(conversation, message, null);
    return message;
  }

  void send(AVIMConversation conversation, AVIMMessage message, AVIMMessageOption option) throws Exception {
    done("a message is acknowledged", callback -> conversation.sendMessage(message, option, callback));
  }

  AVIMMessage edit(AVIMConversation conversation, AVIMMessage message, String text) throws Exception {
    AVIMTextMessage changed = new AVIMTextMessage();
    changed.setText(text);
    return call("an edit", answer -> conversation.updateMessage(message, changed, new AVIMMessageUpdatedCallback() {
      @Override
      public void done(AVIMMessage edited, AVException error) {
        settle(answer, edited, error);
      }
    }));
  }

  AVIMRecalledMessage recall(AVIMConversation conversation, AVIMMessage message) throws Exception {
    return call("a recall", answer -> conversation.recallMessage(message, new AVIMMessageRecalledCallback() {
      @Override
      public void done(AVIMRecalledMessage recalled, AVException error) {
        settle(answer, recalled, error);
      }
    }));
  }

  /** A page of history; `body` makes the call with the callback it is given. */
  List<AVIMMessage> history(Consumer<AVIMMessagesQueryCallback> body) throws Exception {
    return call("history", answer -> body.accept(new AVIMMessagesQueryCallback() {
      @Override
      public void done(List<AVIMMessage> messages, AVIMException error) {
        settle(answer, messages, error);
      }
    }));
  }

  /** The texts of the newest messages, oldest first. */
  List<String> texts(AVIMConversation conversation, int limit) throws Exception {
    return history(callback -> conversation.queryMessagesFromServer(limit, callback)).stream().map(Person::text).toList();
  }

  static String text(AVIMMessage message) {
    return message instanceof AVIMTextMessage typed ? typed.getText() : message.getContent();
  }

  /** Makes a call that answers only with success or failure. */
  void done(String what, Consumer<AVIMConversationCallback> body) throws Exception {
    call(what, (CompletableFuture<Void> answer) -> body.accept(new AVIMConversationCallback() {
      @Override
      public void done(AVIMException error) {
        settle(answer, null, error);
      }
    }));
  }

  AVIMMessage hears(String text) throws Exception {
    return event("message", event -> text.equals(text(event.message()))).message();
  }

  Events.Event event(String name) throws Exception {
    return sdk.events.next(id, name);
  }

  Events.Event event(String name, Predicate<Events.Event> fits) throws Exception {
    return sdk.events.next(id, name, fits);
  }

  boolean wasTold(String name) {
    return sdk.events.has(id, name);
  }
}
