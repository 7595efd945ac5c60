/** Each kind of content between Sampan and the Java SDK, both ways. */
package dev.sampan.interop;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cn.leancloud.im.v2.AVIMBinaryMessage;
import cn.leancloud.im.v2.AVIMConversation;
import cn.leancloud.im.v2.AVIMMessage;
import cn.leancloud.im.v2.messages.AVIMAudioMessage;
import cn.leancloud.im.v2.messages.AVIMFileMessage;
import cn.leancloud.im.v2.messages.AVIMImageMessage;
import cn.leancloud.im.v2.messages.AVIMLocationMessage;
import cn.leancloud.im.v2.messages.AVIMTextMessage;
import cn.leancloud.im.v2.messages.AVIMVideoMessage;
import cn.leancloud.types.AVGeoPoint;
import com.alibaba.fastjson.JSON;
import com.alibaba.fastjson.JSONObject;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;

final class KindsTest {
  private static final String FILE =
      "\"_lctext\":\"words\",\"_lcattrs\":{\"mood\":\"calm\"},\"_lcfile\":{\"objId\":\"0123456789abcdef01234567\",\"url\":\"https://files.invalid/x\","
          + "\"name\":\"x\",\"metaData\":{\"name\":\"x\",\"format\":\"bin\",\"size\":18032,\"width\":640,\"height\":480,\"duration\":12.5}}}";

  /** Has Sampan send a payload and returns what the SDK makes of it. */
  private static AVIMMessage crosses(SampanPeer sampan, Person person, String cid, Object payload) throws Exception {
    String key = payload instanceof String ? "payload" : "bytes";
    Map<String, Object> details = Map.of("cid", cid, key, payload, "mentions", List.of(person.id));
    String id = sampan.ask("sends", details).getString("id");
    AVIMMessage heard = person.event("message", event -> id.equals(event.message().getMessageId())).message();
    assertTrue(heard.mentioned());
    return heard;
  }

  @Test
  @DisplayName("S155 S156 S157 S158 S159 S160 S163 S168 S231 S236 S238 the Java SDK reads each kind that Sampan sends")
  void fromSampan() throws Exception {
    Sdk sdk = Sdk.shared();
    Person alice = sdk.login(Sdk.name("alice"));
    try (SampanPeer sampan = new SampanPeer(sdk.service, Sdk.name("cleo"))) {
      String cid = sampan.ask("start", Map.of("members", List.of(alice.id), "name", "kinds")).getString("cid");
      AVIMTextMessage text = assertInstanceOf(AVIMTextMessage.class,
          crosses(sampan, alice, cid, "{\"_lctype\":-1,\"_lctext\":\"hello 船\",\"_lcattrs\":{\"mood\":\"calm\"}}"));
      assertEquals("hello 船", text.getText());
      assertEquals("calm", text.getAttrs().get("mood"));
      AVIMImageMessage image = assertInstanceOf(AVIMImageMessage.class, crosses(sampan, alice, cid, "{\"_lctype\":-2," + FILE));
      assertEquals("https://files.invalid/x", image.getFileUrl());
      assertEquals("words", image.getText());
      assertEquals("calm", image.getAttrs().get("mood"));
      assertEquals(18032, image.getSize());
      assertEquals(640, image.getWidth());
      assertEquals(480, image.getHeight());
      AVIMAudioMessage audio = assertInstanceOf(AVIMAudioMessage.class, crosses(sampan, alice, cid, "{\"_lctype\":-3," + FILE));
      assertEquals(12.5, audio.getDuration());
      AVIMVideoMessage video = assertInstanceOf(AVIMVideoMessage.class, crosses(sampan, alice, cid, "{\"_lctype\":-4," + FILE));
      assertEquals(12.5, video.getDuration());
      AVIMFileMessage file = assertInstanceOf(AVIMFileMessage.class, crosses(sampan, alice, cid, "{\"_lctype\":-6," + FILE));
      assertEquals("https://files.invalid/x", file.getFileUrl());
      AVIMLocationMessage place = assertInstanceOf(AVIMLocationMessage.class,
          crosses(sampan, alice, cid, "{\"_lctype\":-5,\"_lctext\":\"here\",\"_lcloc\":{\"longitude\":121.5,\"latitude\":31.25}}"));
      assertEquals(31.25, place.getLocation().getLatitude());
      assertEquals(121.5, place.getLocation().getLongitude());
      AVIMMessage unknown = crosses(sampan, alice, cid, "{\"_lctype\":77,\"deep\":[1,{\"z\":\"船\"}]}");
      assertEquals(JSON.parseObject("{\"_lctype\":77,\"deep\":[1,{\"z\":\"船\"}]}"), JSON.parseObject(unknown.getContent()));
      assertEquals("just words", crosses(sampan, alice, cid, "just words").getContent());
      AVIMBinaryMessage binary = assertInstanceOf(AVIMBinaryMessage.class, crosses(sampan, alice, cid, List.of(0, 1, 255, 127, 128)));
      assertArrayEquals(new byte[] {0, 1, -1, 127, -128}, binary.getBytes());
    }
  }

  @Test
  @DisplayName("S155 S159 S163 S170 S231 S238 Sampan reads texts, places, bytes and unknown kinds of the Java SDK")
  void toSampan() throws Exception {
    Sdk sdk = Sdk.shared();
    Person alice = sdk.login(Sdk.name("alice"));
    String cleo = Sdk.name("cleo");
    try (SampanPeer sampan = new SampanPeer(sdk.service, cleo)) {
      AVIMConversation conversation = alice.startWith(cleo);
      AVIMTextMessage text = new AVIMTextMessage();
      text.setText("hello 船");
      text.setAttrs(Map.of("mood", "calm"));
      JSONObject heard = arrives(sampan, alice, conversation, text, cleo);
      assertEquals(JSON.parseObject("{\"_lctype\":-1,\"_lctext\":\"hello 船\",\"_lcattrs\":{\"mood\":\"calm\"}}"), JSON.parseObject(heard.getString("payload")));
      AVIMLocationMessage place = new AVIMLocationMessage();
      place.setLocation(new AVGeoPoint(31.25, 121.5));
      place.setText("here");
      heard = arrives(sampan, alice, conversation, place, cleo);
      assertEquals("location", heard.getString("kind"));
      JSONObject at = JSON.parseObject(heard.getString("payload")).getJSONObject("_lcloc");
      assertEquals(31.25, at.getDoubleValue("latitude"));
      AVIMBinaryMessage binary = new AVIMBinaryMessage();
      binary.setBytes(new byte[] {0, 1, -1});
      heard = arrives(sampan, alice, conversation, binary, cleo);
      assertEquals(List.of(0, 1, 255), heard.getJSONArray("bytes").toJavaList(Integer.class));
      for (String content : List.of("just words", "{ \"_lctype\" : 77, \"z\": 1.50 }")) {
        AVIMMessage raw = new AVIMMessage();
        raw.setContent(content);
        assertEquals(content, arrives(sampan, alice, conversation, raw, cleo).getString("payload"));
      }
    }
  }

  /** Has the SDK send a message and returns what Sampan reads. */
  private static JSONObject arrives(SampanPeer sampan, Person person, AVIMConversation conversation, AVIMMessage message, String mentioned)
      throws Exception {
    message.setMentionList(List.of(mentioned));
    person.send(conversation, message, null);
    JSONObject heard = sampan.ask("gets", Map.of("cid", conversation.getConversationId(), "id", message.getMessageId()));
    assertEquals(List.of(mentioned), heard.getJSONArray("mentions").toJavaList(String.class));
    return heard;
  }
}
