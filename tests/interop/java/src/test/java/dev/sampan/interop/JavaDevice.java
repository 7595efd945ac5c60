/**
 * A device with the official Java SDK that another process drives: one JSON deed a line on standard input, one answer a line on
 * standard output. It keeps the SDK's message cache in SQLite, as Android does, in the folder of its argument.
 */
package dev.sampan.interop;

import cn.leancloud.AVUser;
import cn.leancloud.im.AVIMOptions;
import cn.leancloud.im.InternalConfiguration;
import cn.leancloud.im.v2.AVIMClient;
import cn.leancloud.im.v2.AVIMConversation;
import cn.leancloud.im.v2.AVIMMessage;
import cn.leancloud.im.v2.SqliteCache;
import com.alibaba.fastjson.JSON;
import com.alibaba.fastjson.JSONArray;
import com.alibaba.fastjson.JSONObject;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.List;
import java.util.function.Predicate;

final class JavaDevice {
  private final Person person;

  private JavaDevice(Person person) {
    this.person = person;
  }

  public static void main(String[] arguments) throws Exception {
    // The SDK may print: the answers keep standard output for themselves.
    PrintStream answers = System.out;
    System.setOut(System.err);
    Path folder = Path.of(arguments[0]);
    InternalConfiguration.setDatabaseDelegateFactory(clientId -> SqliteCache.open(folder, clientId));
    BufferedReader lines = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
    JavaDevice device = null;
    for (String line = lines.readLine(); line != null; line = lines.readLine()) {
      JSONObject deed = JSON.parseObject(line);
      JSONObject answer = new JSONObject();
      try {
        if (device == null) device = login(deed);
        else answer = device.does(deed);
      } catch (Exception | AssertionError error) {
        answer.fluentPut("error", error.toString());
      }
      answers.println(answer.toJSONString());
      answers.flush();
    }
    System.exit(0);
  }

  private static JavaDevice login(JSONObject deed) throws Exception {
    Sdk sdk = Sdk.at(deed.getString("url"));
    AVIMOptions.getGlobalOptions().setMessageQueryCacheEnabled(true);
    String session = deed.getString("session");
    if (session == null) return new JavaDevice(sdk.login(deed.getString("clientId")));
    AVUser account = new AVUser();
    account.setObjectId(deed.getString("clientId"));
    account.internalChangeSessionToken(session);
    return new JavaDevice(new Person(sdk, AVIMClient.getInstance(account)).open());
  }

  private JSONObject does(JSONObject deed) throws Exception {
    return switch (deed.getString("do")) {
      case "start" -> {
        List<String> members = deed.getJSONArray("members").toJavaList(String.class);
        yield new JSONObject().fluentPut("cid", person.start(members, deed.getString("name"), null, false).getConversationId());
      }
      case "say" -> described(person.say(conversation(deed), deed.getString("text")));
      case "edit" -> described(person.edit(conversation(deed), message(deed), deed.getString("text")));
      case "recall" -> described(person.recall(conversation(deed), message(deed)));
      case "hears" -> described(person.hears(deed.getString("text")));
      case "history" -> history(deed);
      default -> throw new IllegalArgumentException("no such deed: " + deed);
    };
  }

  private AVIMConversation conversation(JSONObject deed) throws Exception {
    return person.find(deed.getString("cid"));
  }

  /** The message that a deed names, as the service has it. */
  private AVIMMessage message(JSONObject deed) throws Exception {
    Predicate<AVIMMessage> named = message -> message.getMessageId().equals(deed.getString("id"));
    AVIMConversation conversation = conversation(deed);
    return person.history(callback -> conversation.queryMessagesFromServer(100, callback)).stream().filter(named).findFirst().orElseThrow();
  }

  /** All messages of a conversation, the oldest first, read in pages. */
  private JSONObject history(JSONObject deed) throws Exception {
    AVIMConversation conversation = conversation(deed);
    JSONArray all = new JSONArray();
    List<AVIMMessage> page = person.history(callback -> conversation.queryMessagesFromServer(deed.getIntValue("page"), callback));
    while (!page.isEmpty()) {
      all.addAll(0, page.stream().map(JavaDevice::described).toList());
      AVIMMessage oldest = page.get(0);
      page = person.history(callback ->
          conversation.queryMessages(oldest.getMessageId(), oldest.getTimestamp(), deed.getIntValue("page"), callback));
    }
    return new JSONObject().fluentPut("messages", all);
  }

  private static JSONObject described(AVIMMessage message) {
    return new JSONObject()
        .fluentPut("id", message.getMessageId())
        .fluentPut("from", message.getFrom())
        .fluentPut("timestamp", message.getTimestamp())
        .fluentPut("text", Person.text(message));
  }
}
