/** Remembers everything that the SDK tells its handlers, so that a test may ask before or after it came. */
package dev.sampan.interop;

import cn.leancloud.im.v2.AVIMClient;
import cn.leancloud.im.v2.AVIMClientEventHandler;
import cn.leancloud.im.v2.AVIMConversation;
import cn.leancloud.im.v2.AVIMConversationEventHandler;
import cn.leancloud.im.v2.AVIMMessage;
import cn.leancloud.im.v2.AVIMMessageHandler;
import com.alibaba.fastjson.JSONObject;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.function.Predicate;

final class Events {
  /** One thing that one client was told. Fields that do not apply are null. */
  record Event(String name, String client, String conversation, String by, List<String> members, Object detail) {
    AVIMMessage message() {
      return (AVIMMessage) detail;
    }

    AVIMConversation object() {
      return (AVIMConversation) detail;
    }
  }

  private final List<Event> remembered = new ArrayList<>();

  /** The first event of this name for this client, or for any if null, that fits and was not handed out yet. */
  synchronized Event next(String client, String name, Predicate<Event> fits) throws InterruptedException {
    long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(Sdk.PATIENCE_SECONDS);
    for (;;) {
      for (Event event : remembered) {
        if (event.name.equals(name) && (client == null || event.client.equals(client)) && fits.test(event)) {
          remembered.remove(event);
          return event;
        }
      }
      long left = TimeUnit.NANOSECONDS.toMillis(end - System.nanoTime());
      if (left <= 0) throw new AssertionError(client + " waited in vain for " + name + "; came: " + namesFor(client));
      wait(left);
    }
  }

  Event next(String client, String name) throws InterruptedException {
    return next(client, name, event -> true);
  }

  /** True if an event of this name for this client is there and was not handed out. */
  synchronized boolean has(String client, String name) {
    return remembered.stream().anyMatch(event -> event.name.equals(name) && event.client.equals(client));
  }

  private List<String> namesFor(String client) {
    return remembered.stream().filter(event -> client == null || event.client.equals(client)).map(Event::name).toList();
  }

  private synchronized void note(String name, AVIMClient client, AVIMConversation conversation, String by, List<String> members, Object detail) {
    String id = conversation == null ? null : conversation.getConversationId();
    remembered.add(new Event(name, client.getClientId(), id, by, members, detail));
    notifyAll();
  }

  AVIMMessageHandler messages() {
    return new AVIMMessageHandler() {
      @Override
      public void onMessage(AVIMMessage message, AVIMConversation conversation, AVIMClient client) {
        note("message", client, conversation, message.getFrom(), null, message);
      }

      @Override
      public void onMessageReceipt(AVIMMessage message, AVIMConversation conversation, AVIMClient client) {
        note("receipt", client, conversation, null, null, message);
      }
    };
  }

  AVIMClientEventHandler clients() {
    return new AVIMClientEventHandler() {
      @Override
      public void onConnectionPaused(AVIMClient client) {
        note("paused", client, null, null, null, null);
      }

      @Override
      public void onConnectionResume(AVIMClient client) {
        note("resumed", client, null, null, null, null);
      }

      @Override
      public void onClientOffline(AVIMClient client, int code) {
        note("offline", client, null, null, null, code);
      }
    };
  }

  AVIMConversationEventHandler conversations() {
    return new AVIMConversationEventHandler() {
      @Override
      public void onMemberLeft(AVIMClient client, AVIMConversation conversation, List<String> members, String by) {
        note("left", client, conversation, by, members, null);
      }

      @Override
      public void onMemberJoined(AVIMClient client, AVIMConversation conversation, List<String> members, String by) {
        note("joined", client, conversation, by, members, null);
      }

      @Override
      public void onKicked(AVIMClient client, AVIMConversation conversation, String by) {
        note("kicked", client, conversation, by, null, null);
      }

      @Override
      public void onInvited(AVIMClient client, AVIMConversation conversation, String by) {
        note("invited", client, conversation, by, null, null);
      }

      @Override
      public void onUnreadMessagesCountUpdated(AVIMClient client, AVIMConversation conversation) {
        note("unread", client, conversation, null, null, conversation);
      }

      @Override
      public void onLastDeliveredAtUpdated(AVIMClient client, AVIMConversation conversation) {
        note("delivered", client, conversation, null, null, conversation);
      }

      @Override
      public void onLastReadAtUpdated(AVIMClient client, AVIMConversation conversation) {
        note("read", client, conversation, null, null, conversation);
      }

      @Override
      public void onMessageUpdated(AVIMClient client, AVIMConversation conversation, AVIMMessage message) {
        note("edited", client, conversation, message.getFrom(), null, message);
      }

      @Override
      public void onMessageRecalled(AVIMClient client, AVIMConversation conversation, AVIMMessage message) {
        note("recalled", client, conversation, message.getFrom(), null, message);
      }

      @Override
      public void onInfoChanged(AVIMClient client, AVIMConversation conversation, JSONObject attributes, String by) {
        note("changed", client, conversation, by, null, attributes);
      }
    };
  }
}
